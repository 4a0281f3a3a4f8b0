"""The example workflows, blueprints and help pictures, written as data and drawn by the real editor."""
