"""Players for tests of many songs."""
