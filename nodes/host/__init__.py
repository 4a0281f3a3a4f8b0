"""Where the pack meets ComfyUI: devices and memory, folders, output files and tags."""
