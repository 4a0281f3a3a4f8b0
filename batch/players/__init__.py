"""Who plays a row: ComfyUI with a graph, or the core with a checkpoint."""
