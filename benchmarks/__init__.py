"""Speed and memory of `acestep_core` against diffusers; `make bench` runs everything."""
