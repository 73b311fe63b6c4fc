"""Faster stand-ins for parts of PEFT, torch and transformers.

Each gives the same numbers as the plain path within a tested bound. `SEMPA_PLAIN=1` turns all of them off.
"""

import os


def is_plain() -> bool:
    """Return whether `SEMPA_PLAIN` asks for the libraries' own ways alone; set it before a model is opened."""
    return os.environ.get("SEMPA_PLAIN", "").lower() in ("1", "true", "yes")
