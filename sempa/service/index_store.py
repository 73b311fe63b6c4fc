"""Store indexes by name: public ones on disk, opened once for all visitors, and visitors' private ones."""

import shutil
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.embedding.index import INDEX_ROOT, SentenceIndex, find_index, index_folder, index_names
from sempa.errors import InputError
from sempa.files import tidy
from sempa.service.maps import IndexMaps

DEMO = "demo"
OWN = "~"
"""First character of a private index's key; public names cannot contain it."""
MAX_OWN, MAX_EACH = 50, 5
"""Maximum private indexes in memory: in total and per visitor."""
MAX_PUBLIC = 100
"""Maximum public indexes; beyond it, visitors may only build private ones."""
MAX_OPEN = 20
"""Maximum public indexes in memory."""

Rows = NDArray[np.float32]


class IndexStore:
    """Open indexes by name and store those that visitors build; thread-safe."""

    def __init__(self, root: Path = INDEX_ROOT) -> None:
        self._root = root
        tidy(root)
        self._opened: OrderedDict[str, Future[SentenceIndex]] = OrderedDict()
        self._own: OrderedDict[str, SentenceIndex] = OrderedDict()
        self._makers: dict[str, str] = {}
        self._random_cosines: dict[EncoderConfig, Rows] = {}
        self._maps: WeakKeyDictionary[SentenceIndex, IndexMaps] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of the public indexes, the demo first."""
        return index_names(self._root)

    def own_names(self, visitor: str) -> list[str]:
        """Return the keys of a visitor's private indexes; the visitor's own name follows the last "/"."""
        with self._lock:
            return self._own_names(visitor)

    def _own_names(self, visitor: str) -> list[str]:
        return [key for key in self._own if key.startswith(f"{OWN}{visitor}/")]

    def open(self, name: str) -> SentenceIndex:
        """Open an index once; beyond MAX_OPEN, close the least recently used, but never the demo.

        Loading holds no lock: only requests for the same index wait.
        Raises: InputError for an unknown name; StorageError if the index is damaged.
        """
        with self._lock:
            if name in self._own:
                return self._own[name]
            opened = name in self._opened
        if name.startswith(OWN):
            raise InputError(f"Your index {name.rsplit('/', 1)[-1]!r} has expired. Build it again.")
        if not opened:
            self.require_public(name)
        with self._lock:
            loads = name not in self._opened
            index = self._opened.setdefault(name, Future())
            self._opened.move_to_end(name)
            if len(self._opened) > MAX_OPEN:
                del self._opened[next(key for key in self._opened if key != DEMO)]
        if loads:
            try:
                index.set_result(SentenceIndex.load(find_index(name, self._root)))
            except BaseException as error:
                with self._lock:
                    if self._opened.get(name) is index:  # the next request retries
                        del self._opened[name]
                index.set_exception(error)
        return index.result()

    def require_public(self, name: str) -> None:
        """Raise InputError for a name that is not a public index."""
        if name not in (known := self.names()):
            raise InputError(f"There is no index {name!r}: choose one of {', '.join(known) or 'none yet'}.")

    def put(self, index: SentenceIndex, name: str, visitor: str, *, public: bool) -> str:
        """Store an index built by a visitor and return the name to open it by.

        A public index is written to disk. A private one stays in memory for its owner until `forget`; beyond MAX_EACH
        per visitor or MAX_OWN in total, the oldest is dropped.
        Raises: what `require_free` raises; StorageError if the disk refuses.
        """
        self.require_free(name, visitor, public=public)
        if public:
            index.save(index_folder(name, self._root))
            self._makers[name] = visitor
            return name
        key = f"{OWN}{visitor}/{name}"
        with self._lock:
            self._own[key] = index
            for oldest in self._own_names(visitor)[:-MAX_EACH]:
                del self._own[oldest]
            for oldest in list(self._own)[:-MAX_OWN]:
                del self._own[oldest]
        return key

    def require_free(self, name: str, visitor: str, *, public: bool) -> None:
        """Raise InputError for a malformed or taken name, or a public one beyond MAX_PUBLIC."""
        if find_index(name, self._root).exists() or (not public and f"{OWN}{visitor}/{name}" in self._own):
            raise InputError(f"An index named {name!r} already exists: choose another name.")
        if public and len(self.names()) >= MAX_PUBLIC:
            raise InputError(f"There are already {MAX_PUBLIC} public indexes, the limit: keep this one private.")

    def owns(self, name: str, visitor: str) -> bool:
        """Return whether a visitor may delete an index."""
        with self._lock:
            return name in self._own_names(visitor) or self._makers.get(name, "") == visitor != ""

    def delete(self, name: str, visitor: str) -> None:
        """Delete one of the visitor's own indexes.

        Raises: InputError if it belongs to someone else.
        """
        with self._lock:
            if name in self._own_names(visitor):
                del self._own[name]
                return
            if self._makers.get(name) != visitor:
                raise InputError("You can delete only indexes that you built since you opened this page.")
            del self._makers[name]
            self._opened.pop(name, None)
            shutil.rmtree(index_folder(name, self._root))

    def forget(self, visitor: str) -> None:
        """Drop the private indexes of a visitor who has left."""
        with self._lock:
            for name in self._own_names(visitor):
                del self._own[name]

    def maps(self, index: SentenceIndex) -> IndexMaps:
        """Return the maps of an open index, kept as long as the index."""
        with self._lock:
            return self._maps.setdefault(index, IndexMaps())

    def random_cosines(self, recipe: EncoderConfig) -> Rows | None:
        """Return sorted cosines of random pairs of demo texts; None if the demo lacks vectors of the recipe."""
        if recipe not in self._random_cosines and DEMO in self.names():
            demo = self.open(DEMO)
            if recipe in demo.recipes:
                self._random_cosines[recipe] = demo.pair_cosines(recipe)
        return self._random_cosines.get(recipe)
