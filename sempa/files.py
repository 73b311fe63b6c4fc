"""Files and folders that appear complete or not at all, their hashes, and the folder of what is fetched."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from sempa.errors import InputError, StorageError

COMPLETE = "complete"
"""The marker file written last into a folder that takes long to make; a folder without it is incomplete."""
REFUSALS = (OSError, SafetensorError)
"""Errors of a failed write; safetensors reports a full disk by its own class."""


@contextmanager
def writing(what: str, path: Path, cure: str = "make room there") -> Iterator[None]:
    """Name `what`, the path and the cure in an error if a write in the block fails.

    Raises: StorageError.
    """
    try:
        yield
    except REFUSALS as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{what} could not be written to {path} ({reason}): {cure}.") from error


@contextmanager
def atomic_file(path: Path, what: str, cure: str = "make room there") -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; the file is flushed to disk and renamed when the block ends.

    Raises: StorageError if the disk refuses; the old file is then unchanged.
    """
    aside = path.with_name(f".new-{secrets.token_hex(4)}-{path.name}")
    with writing(what, path, cure):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            flush(aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path, what: str, cure: str = "make room there", *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty hidden folder beside `folder` to write into; it is renamed when the block ends.

    Raises: InputError if the folder exists, unless it is to be replaced; StorageError if the disk refuses. The old
    folder is then unchanged.
    """
    if folder.exists() and not replace:
        raise InputError(f"{folder} exists already: choose another folder or remove it.")
    made = folder.with_name(f".{folder.name}-new-{secrets.token_hex(4)}")
    with writing(what, folder, cure):
        try:
            made.mkdir(parents=True)
            yield made
            _rename(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _rename(made: Path, folder: Path) -> None:
    old = made.with_name(made.name.replace("-new-", "-old-"))
    if folder.exists():
        folder.replace(old)
    try:
        made.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def flush(path: Path) -> None:
    """Wait until a file's content or a folder's entries are on the disk; Windows can open neither for that."""
    if os.name == "nt":
        return
    held = os.open(path, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def share(folder: Path) -> None:
    """Give weights the permissions of the settings beside them: safetensors lets the owner alone read them."""
    for weights in folder.rglob("*.safetensors"):
        shutil.copymode(next(weights.parent.glob("*.json")), weights)


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """Return the folder of fetched models: $SEMPA_CACHE, else `sempa` in the user's cache folder."""
    if own := os.environ.get("SEMPA_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "sempa"
