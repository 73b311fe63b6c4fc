"""Faster replacements of parts of PEFT, torch and transformers, each equal to the plain path and optional."""
