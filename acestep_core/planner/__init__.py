"""The 5 Hz language model: its network and cache, decoding under a grammar, and what it can be asked."""
