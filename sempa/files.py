"""Files and folders that appear complete or not at all, their checksums, and the folder of what is fetched."""

import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from sempa.errors import InputError, StorageError

log = logging.getLogger(__name__)

CHECKSUMS = "SHA256SUMS"
COMPLETE = "complete"
"""The marker file written last into a folder that takes long to make; a folder without it is incomplete."""
REFUSALS = (OSError, SafetensorError)
"""Errors of a failed write; safetensors reports a full disk by its own class."""
_LEFT = re.compile(r"\.(.+)-(new|old)-([0-9a-f]{8})")


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
        tidy(folder.parent)
        try:
            made.mkdir(parents=True)
            with locked(made):
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


def tidy(parent: Path) -> None:
    """Finish or remove what killed processes left of atomic folders in `parent`, and log each.

    A new folder is complete once the old one was moved away.
    """
    lefts = [(path, found) for path in sorted(parent.glob(".*-*-*")) if (found := _LEFT.fullmatch(path.name))]
    for left, found in lefts:
        folder, partner = parent / found[1], parent / f".{found[1]}-new-{found[3]}"
        old = found[2] == "old"
        if (old and partner.exists()) or not abandoned(left):
            continue  # another process is at it, or the partner is handled first
        if not folder.exists() and (old or left.with_name(left.name.replace("-new-", "-old-")).exists()):
            left.replace(folder)
            log.warning("%s was being replaced when a process was killed: it is complete again.", folder)
        else:
            shutil.rmtree(left, ignore_errors=True)
            log.warning("Removed %s, which a killed process left behind.", left)


def lock(folder: Path) -> int:
    """Lock a folder for this process and return the descriptor to close; the end of the process closes it too.

    Raises: BlockingIOError if another holds it; another OSError where there are no locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError("this system has no locks") from None
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock in the block, if the system has locks and nobody else holds it."""
    held = None
    with suppress(OSError):
        held = lock(folder)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


def abandoned(folder: Path) -> bool:
    """Return whether no process holds a folder's lock; where there are no locks, no folder counts as abandoned."""
    try:
        os.close(lock(folder))
    except OSError:
        return False
    return True


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


def write_checksums(folder: Path, names: Collection[str]) -> None:
    """Write the SHA-256 of some files of a folder as `sha256sum --check` reads them."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in sorted(names)]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def require_unchanged(folder: Path) -> None:
    """Raise StorageError, naming the file, unless all files in CHECKSUMS are as written; a folder may have none."""
    if not (path := folder / CHECKSUMS).is_file():
        return
    for line in path.read_bytes().splitlines():
        known, _, name = line.decode("latin-1").partition("  ")
        file = folder / Path(name or CHECKSUMS).name
        if not file.is_file():
            raise StorageError(f"{file} is missing, but {CHECKSUMS} names it: the folder is damaged, restore it.")
        if sha256_of(file) != known:
            raise StorageError(
                f"{file} is not the file that {CHECKSUMS} names, so it is damaged or changed: restore it, or delete "
                f"{CHECKSUMS} if you changed it."
            )


def cache_folder() -> Path:
    """Return the folder of fetched models: $SEMPA_CACHE, else `sempa` in the user's cache folder."""
    if own := os.environ.get("SEMPA_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "sempa"
