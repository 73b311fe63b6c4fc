"""Sparse codes of embeddings: fit them, search by them."""
