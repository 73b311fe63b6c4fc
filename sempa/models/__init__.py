"""Load a base model, put adapters on it, generate and score with it."""
