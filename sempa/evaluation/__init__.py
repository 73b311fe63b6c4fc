"""A model to figures, their JSON and their tables."""
