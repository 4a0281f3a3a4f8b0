"""What `python benchmarks/card.py` measures, one module for each kind of work."""
