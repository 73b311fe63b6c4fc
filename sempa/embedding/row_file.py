"""Rows of numbers on disk, appended block by block, so that a long computation can be resumed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sempa.errors import StorageError
from sempa.files import writing

Rows = NDArray[np.float32]
WHAT = "The vectors"


class RowFile:
    """Hold rows of `width` float32 numbers in a file that need not exist yet."""

    def __init__(self, path: Path, width: int) -> None:
        """Find out how many rows the file has.

        Raises: StorageError if the disk refuses, as all methods do.
        """
        self._path, self._width = path, width
        with writing(WHAT, path):
            self._bytes = path.stat().st_size if path.is_file() else 0

    def __len__(self) -> int:
        """Return the number of complete rows."""
        return self._bytes // self._row

    @property
    def _row(self) -> int:
        return self._width * np.float32().itemsize

    def cut(self, count: int) -> None:
        """Keep only the first `count` rows."""
        if self._bytes != count * self._row:
            with writing(WHAT, self._path), self._path.open("r+b") as stream:
                stream.truncate(count * self._row)
            self._bytes = count * self._row

    def append(self, rows: Rows) -> None:
        """Add (M, width) rows; refused if another program changed the file."""
        with writing(WHAT, self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as stream:
                if stream.tell() != self._bytes:
                    raise StorageError(f"Another program changed {self._path}: wait until it ends, then start again.")
                stream.write(np.ascontiguousarray(rows, dtype=np.float32).data)
        self._bytes += rows.shape[0] * self._row

    def rows(self) -> Rows:
        """Return all rows, (len, width), mapped from disk: rows that are not used take no memory."""
        with writing(WHAT, self._path):
            return np.memmap(self._path, np.float32, "r", shape=(len(self), self._width))
