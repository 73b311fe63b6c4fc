"""Sentences to unit rows to neighbours."""
