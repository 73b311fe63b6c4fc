"""Rows of data files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from sempa.errors import InputError

_Item = TypeVar("_Item")


def read_lines(path: Path) -> list[str]:
    """Return a UTF-8 file's lines with their ends.

    Lines end where a file's do, not at every sign that Unicode counts among the line ends: sentences hold such signs.
    Raises: InputError if it cannot be read or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(stream)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None


def subsample(items: Sequence[_Item], limit: int | None) -> Sequence[_Item]:
    """Return every n-th item, so that at most `limit` are left; all of them without a limit."""
    return items[:: max(1, -(-len(items) // limit))] if limit else items
