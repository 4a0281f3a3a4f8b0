"""A tiny ACE-Step 1.5 made from nothing: music is composed, a codec is built for it, a transformer learns it."""
