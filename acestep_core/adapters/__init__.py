"""Adapters: files of trainers, their names and scales, and the changes of weights that they mean."""
