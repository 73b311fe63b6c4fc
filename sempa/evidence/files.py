"""Data files as text."""

from pathlib import Path

from sempa.errors import InputError


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
