"""A hostile run of the pack: what is done to it on purpose, and what came of it. `tools/reliability.py` starts it."""
