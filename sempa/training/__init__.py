"""Training: from NLI triplets to an adapter folder."""
