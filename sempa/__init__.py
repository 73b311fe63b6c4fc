"""Embed sentences with a generative language model, before and after SemPA alignment.

Letters used for shapes everywhere: B batch rows, T tokens of a row, V vocabulary, D hidden width, K candidate
responses, N sentences, Q queries, H tokens of a shared prefix, P completion tokens.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sempa.config import EncoderConfig
    from sempa.embedding.encoder import Encoder
    from sempa.embedding.index import SentenceIndex
    from sempa.errors import SempaError
    from sempa.models.pair import ModelPair

__version__ = "0.1.0"
__all__ = ["Encoder", "EncoderConfig", "ModelPair", "SempaError", "SentenceIndex", "__version__"]

_HOMES = {
    "Encoder": "sempa.embedding.encoder",
    "EncoderConfig": "sempa.config",
    "ModelPair": "sempa.models.pair",
    "SempaError": "sempa.errors",
    "SentenceIndex": "sempa.embedding.index",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that `--help` and the error classes need no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sempa' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
