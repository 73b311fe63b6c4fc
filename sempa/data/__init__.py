"""One reader of tables, and what is read with it: triplets, scored pairs, corpora."""
