"""What is said to the model: songs in words, tasks, prompts, tokens, and the conditions made of them."""
