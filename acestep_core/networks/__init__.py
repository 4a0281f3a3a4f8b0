"""The networks of a checkpoint and their sizes: weights in, tensors out; nothing here knows of files or of tasks."""
