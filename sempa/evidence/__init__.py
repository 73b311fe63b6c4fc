"""A model to JSON that the tables are drawn from."""
