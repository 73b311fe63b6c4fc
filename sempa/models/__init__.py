"""Where weights come from, and the one resident model under its two names."""
