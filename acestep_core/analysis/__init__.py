"""What can be told of a finished song: when its words are sung, and how well it keeps to what was asked."""
