"""Evaluation: measure a model, write the results as JSON, and show them as tables."""
