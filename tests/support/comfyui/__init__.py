"""A real ComfyUI and a real browser, fetched, started and driven; cards that exist only in the test."""
