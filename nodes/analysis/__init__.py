"""Nodes that listen to songs which have been played: when words are sung, which take is the best."""
