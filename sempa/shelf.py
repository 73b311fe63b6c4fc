"""What the studios of one base model share: opened indexes, and vectors of single sentences."""

import shutil
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
MAX_OWN = 50
"""Private indexes held in memory at once, of all visitors together."""
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
        self._own: OrderedDict[str, SentenceIndex] = OrderedDict()
        self._makers: dict[str, str] = {}
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
            if name in self._own:
                return self._own[name]
            if name not in self._indexes:
                self.require_public(name)
                self._indexes[name] = SentenceIndex.load(index_folder(name, self._root))
            return self._indexes[name]

    def require_public(self, name: str) -> None:
        """Raise InputError for a name that is none of everybody's indexes: a visitor's own, or none at all."""
        if name not in (known := self.index_names()):
            raise InputError(f"There is no index {name!r}: choose one of {', '.join(known) or 'none yet'}.")

    def own_names(self, visitor: str) -> list[str]:
        """Return the keys of one visitor's own indexes; the part after the last "/" is what the visitor called it."""
        with self._lock:
            return [key for key in self._own if key.startswith(f"~{visitor}/")]

    def put(self, index: SentenceIndex, name: str, visitor: str, *, public: bool) -> str:
        """Take in an index made by a visitor and return the name it is searched by.

        A public one is written to disk for everybody and outlives a restart; else it is the visitor's alone, in memory
        until the visitor leaves. The oldest of more than MAX_OWN private ones goes.
        Raises: InputError for a name that is none or is taken; StorageError if the disk refuses.
        """
        self.require_free(name, visitor, public=public)
        key = name if public else f"~{visitor}/{name}"
        if public:
            index.save(index_folder(name, self._root))
            self._makers[name] = visitor
            return key
        with self._lock:
            self._own[key] = index
            while len(self._own) > MAX_OWN:
                self._own.popitem(last=False)
        return key

    def require_free(self, name: str, visitor: str, *, public: bool) -> None:
        """Raise InputError for a name that is none, or is taken."""
        if index_folder(name, self._root).exists() or (not public and f"~{visitor}/{name}" in self._own):
            raise InputError(f"There is an index {name!r} already: choose another name.")

    def drop(self, name: str, visitor: str) -> None:
        """Delete an index the visitor made.

        Raises: InputError if it is not one of the visitor's.
        """
        with self._lock:
            if name.startswith(f"~{visitor}/") and self._own.pop(name, None) is not None:
                return
            if self._makers.get(name) != visitor:
                raise InputError("Only indexes made on this page since it was opened can be deleted here.")
            del self._makers[name]
            self._indexes.pop(name, None)
            shutil.rmtree(index_folder(name, self._root))

    def forget(self, visitor: str) -> None:
        """Drop what a visitor kept in memory."""
        for key in self.own_names(visitor):
            with self._lock:
                self._own.pop(key, None)

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
