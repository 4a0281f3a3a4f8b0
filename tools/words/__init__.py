"""What nodes are called in every language, and what shared workflows rely on."""
