"""Sentences to unit vectors, and the index that searches them."""
