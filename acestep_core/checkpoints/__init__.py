"""Files on disk: their layouts and key spellings, and networks loaded from them exactly."""
