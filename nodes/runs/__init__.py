"""What several nodes do with a network: sampling, planning, previews, and the precision it is loaded in."""
