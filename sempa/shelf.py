"""What the studios of one base model share: opened indexes, and vectors of single sentences."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.errors import InputError
from sempa.reading.index import INDEX_ROOT, SentenceIndex, index_folder, index_names

DEMO = "demo"
REMEMBERED = 4_000
"""Vectors of single sentences kept, so that moving a slider reads nothing again."""

Row = NDArray[np.float32]


class Shelf:
    """Keep indexes by name and vectors by recipe, so that no adapter reads or loads again what another has."""

    def __init__(self, index_root: Path = INDEX_ROOT) -> None:
        self._root = index_root
        self._indexes: dict[str, SentenceIndex] = {}
        self._backgrounds: dict[EncoderConfig, Row] = {}
        self._rows: OrderedDict[tuple[EncoderConfig, str], Row] = OrderedDict()
        self._lock = threading.Lock()
        self.building = threading.Lock()
        """Held while texts are read into an index, so that two visitors do not read the same ones."""

    def index_names(self) -> list[str]:
        """Return the names of the indexes there are, the demo first."""
        return index_names(self._root)

    def index(self, name: str) -> SentenceIndex:
        """Open an index by name, once.

        Raises: InputError if there is none of that name; StorageError if it is damaged.
        """
        with self._lock:
            if name not in self._indexes:
                if name not in (known := self.index_names()):
                    raise InputError(f"There is no index {name!r}: choose one of {', '.join(known) or 'none yet'}.")
                self._indexes[name] = SentenceIndex.load(index_folder(name, self._root))
            return self._indexes[name]

    def background(self, recipe: EncoderConfig) -> Row | None:
        """Return sorted cosines of random pairs of demo sentences by one recipe, None while it has not read them."""
        if recipe not in self._backgrounds and DEMO in self.index_names():
            index = self.index(DEMO)
            if recipe in index.recipes:
                self._backgrounds[recipe] = index.pair_cosines(recipe)
        return self._backgrounds.get(recipe)

    def recall(self, recipe: EncoderConfig, sentences: Sequence[str]) -> dict[str, Row]:
        """Return the vectors known of some sentences."""
        with self._lock:
            return {s: row for s in sentences if (row := self._rows.get((recipe, s))) is not None}

    def remember(self, recipe: EncoderConfig, rows: Mapping[str, Row]) -> None:
        """Keep vectors of sentences; the oldest go when there are too many."""
        with self._lock:
            for sentence, row in rows.items():
                self._rows[recipe, sentence] = row
            while len(self._rows) > REMEMBERED:
                self._rows.popitem(last=False)
