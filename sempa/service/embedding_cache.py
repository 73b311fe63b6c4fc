"""In-memory cache of sentence vectors, so that moving a slider recomputes nothing."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.embedding.encoder import Encoder, Progress

Rows = NDArray[np.float32]
CACHED = 4_000
"""Maximum cached vectors."""
TOGETHER = 16
"""Sentences encoded before other visitors get their turn."""


class EmbeddingCache:
    """Cache the most recently used sentence vectors by recipe; thread-safe."""

    def __init__(self, size: int = CACHED) -> None:
        self._size = size
        self._rows: OrderedDict[tuple[EncoderConfig, str], Rows] = OrderedDict()
        self._lock = threading.Lock()

    def vectors(self, encoder: Encoder, sentences: Sequence[str], progress: Progress | None = None) -> dict[str, Rows]:
        """Return every model's (N, D) unit rows of N sentences; `progress` is called if any are computed.

        Each missing vector is computed for one sentence alone, under all models in one pass, so it never depends on the
        other sentences of the request.
        Raises: what `Encoder.encode_each` raises.
        """
        recipes, texts = encoder.recipes, dict.fromkeys(sentences)
        keys = [(recipe, text) for recipe in recipes.values() for text in texts]
        with self._lock:
            known = {key: self._rows[key] for key in keys if key in self._rows}
            for key in known:
                self._rows.move_to_end(key)
        missing = [text for text in texts if any((recipe, text) not in known for recipe in recipes.values())]
        for start in range(0, len(missing), TOGETHER):
            part = missing[start : start + TOGETHER]
            for variant, rows in encoder.encode_each(part).items():
                for text, row in zip(part, rows, strict=True):
                    known.setdefault((recipes[variant], text), row)
            if progress:
                progress(start + len(part), len(missing))
        with self._lock:
            self._rows.update((key, row) for key, row in known.items() if key not in self._rows)
            while len(self._rows) > self._size:
                self._rows.popitem(last=False)
        shape = (len(sentences), encoder.width)
        return {
            variant: np.array([known[recipe, text] for text in sentences], np.float32).reshape(shape)
            for variant, recipe in recipes.items()
        }
