"""ComfyUI's own ACE-Step 1.5 nodes as an opponent, in versions that have them."""
