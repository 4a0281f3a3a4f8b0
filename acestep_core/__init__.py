"""ACE-Step 1.5 inference in plain torch; knows nothing of ComfyUI."""
