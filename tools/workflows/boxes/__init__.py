"""What is inside of the boxes of blueprints and example workflows."""
