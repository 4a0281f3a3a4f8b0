"""What the list of templates shows: names and drawn pictures."""
