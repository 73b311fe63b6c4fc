"""NLI triplets to an adapter folder."""
