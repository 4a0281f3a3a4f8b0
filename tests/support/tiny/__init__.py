"""Tiny checkpoints with random weights, in every layout."""
