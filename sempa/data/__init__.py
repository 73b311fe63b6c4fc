"""The reader of tables, and the data read with it: triplets, scored pairs, corpora."""
