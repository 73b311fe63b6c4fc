"""What the adapters of one base model share: opened indexes, and vectors of single sentences."""

import shutil
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.embedding.index import INDEX_ROOT, SentenceIndex, index_folder, index_names
from sempa.errors import InputError

DEMO = "demo"
OWN = "~"
"""What the key of a visitor's own index begins with; no public name does."""
MAX_OWN, MAX_EACH = 50, 5
"""Private indexes held in memory at once, of all visitors together and of each."""
MAX_PUBLIC = 100
"""Indexes there may be on disk before visitors make no more public ones."""
MAX_OPEN = 20
"""Indexes of the disk that are held open."""
AWAY_SECONDS, IDLE_SECONDS = 3_600, 86_400
"""How long a private index is kept unused after its maker's page was closed or cut off, and how long at all."""
REMEMBERED = 4_000
"""Vectors of single sentences kept, so that moving a slider reads nothing again."""

Row = NDArray[np.float32]


class Shelf:
    """Keep indexes by name and vectors by recipe, so that no adapter reads or loads again what another has."""

    def __init__(self, index_root: Path = INDEX_ROOT) -> None:
        self._root = index_root
        self._indexes: OrderedDict[str, SentenceIndex] = OrderedDict()
        self._backgrounds: dict[EncoderConfig, Row] = {}
        self._rows: OrderedDict[tuple[EncoderConfig, str], Row] = OrderedDict()
        self._lock = threading.Lock()
        self._own: OrderedDict[str, SentenceIndex] = OrderedDict()
        self._used: dict[str, float] = {}
        self._away: set[str] = set()
        self._makers: dict[str, str] = {}
        self._reading: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def index_names(self) -> list[str]:
        """Return the names of the indexes there are, the demo first."""
        return index_names(self._root)

    def index(self, name: str) -> SentenceIndex:
        """Open an index by name, once; of many, those not asked for longest are closed again, never the demo.

        Raises: InputError if there is none of that name; StorageError if it is damaged.
        """
        with self._lock:
            if name in self._own:
                self._used[name] = time.monotonic()
                return self._own[name]
            if name.startswith(OWN):
                raise InputError(
                    f"Your index {name.rsplit('/', 1)[-1]!r} is gone: it was not used for long, or others took its "
                    f"place. Make it again, or choose another."
                )
            if name not in self._indexes:
                self.require_public(name)
                self._indexes[name] = SentenceIndex.load(index_folder(name, self._root))
            self._indexes.move_to_end(name)
            if len(self._indexes) > MAX_OPEN:
                del self._indexes[next(key for key in self._indexes if key != DEMO)]
            return self._indexes[name]

    @contextmanager
    def reading(self, name: str, progress: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold an index while texts are read into it, so that two visitors do not read the same ones.

        Who waits is told so every second.
        """
        with self._lock:
            lock = self._reading[name]
        while not lock.acquire(timeout=1):
            if progress:
                progress("These texts are being read for another visitor: waiting for that ...")
        try:
            yield
        finally:
            lock.release()

    def require_public(self, name: str) -> None:
        """Raise InputError for a name that is none of everybody's indexes: a visitor's own, or none at all."""
        if name not in (known := self.index_names()):
            raise InputError(f"There is no index {name!r}: choose one of {', '.join(known) or 'none yet'}.")

    def own_names(self, visitor: str) -> list[str]:
        """Return the keys of one visitor's own indexes; the part after the last "/" is what the visitor called it."""
        with self._lock:
            self._away.discard(visitor)
            return self._of(visitor)

    def _of(self, visitor: str) -> list[str]:
        return [key for key in self._own if key.startswith(f"{OWN}{visitor}/")]

    def put(self, index: SentenceIndex, name: str, visitor: str, *, public: bool) -> str:
        """Take in an index made by a visitor and return the name it is searched by.

        A public one is written to disk for everybody and outlives a restart; else it is the visitor's alone, in memory
        until an hour after the visitor has left. Of a visitor's own more than MAX_EACH the oldest goes, as of all
        visitors' more than MAX_OWN.
        Raises: InputError for a name that is none or is taken; StorageError if the disk refuses.
        """
        self.require_free(name, visitor, public=public)
        key = name if public else f"{OWN}{visitor}/{name}"
        if public:
            index.save(index_folder(name, self._root))
            self._makers[name] = visitor
            return key
        with self._lock:
            self._own[key], self._used[key] = index, time.monotonic()
            self._away.discard(visitor)
            self._sweep()
            for oldest in self._of(visitor)[:-MAX_EACH]:
                self._drop_own(oldest)
            for oldest in list(self._own)[:-MAX_OWN]:
                self._drop_own(oldest)
        return key

    def require_free(self, name: str, visitor: str, *, public: bool) -> None:
        """Raise InputError for a name that is none, or is taken, or where visitors have made enough of them public."""
        if index_folder(name, self._root).exists() or (not public and f"{OWN}{visitor}/{name}" in self._own):
            raise InputError(f"There is an index {name!r} already: choose another name.")
        if public and len(self.index_names()) >= MAX_PUBLIC:
            raise InputError(f"There are {MAX_PUBLIC} public indexes, the most there may be: keep this one private.")

    def drop(self, name: str, visitor: str) -> None:
        """Delete an index the visitor made.

        Raises: InputError if it is not one of the visitor's.
        """
        with self._lock:
            if name in self._of(visitor):
                self._drop_own(name)
                return
            if self._makers.get(name) != visitor:
                raise InputError("Only indexes made on this page since it was opened can be deleted here.")
            del self._makers[name]
            self._indexes.pop(name, None)
            shutil.rmtree(index_folder(name, self._root))

    def forget(self, visitor: str) -> None:
        """Note that a visitor's page was closed, or that its connection broke: what is private goes in an hour.

        A page that is still there, as on a phone that was locked, uses it further and keeps it.
        """
        with self._lock:
            self._away.add(visitor)
            self._sweep()

    def _sweep(self) -> None:
        now = time.monotonic()
        for key in list(self._own):
            away = key.removeprefix(OWN).rsplit("/", 1)[0] in self._away
            if now - self._used[key] > (AWAY_SECONDS if away else IDLE_SECONDS):
                self._drop_own(key)
        self._away = {visitor for visitor in self._away if self._of(visitor)}

    def _drop_own(self, key: str) -> None:
        self._own.pop(key, None)
        self._used.pop(key, None)
        self._reading.pop(key, None)

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
