"""Folders that are there whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from sempa.errors import InputError, StorageError

WRITING = ".writing"
"""What is put behind a folder's name until it is whole; a run in training has `.partial` there, which stays."""


@contextmanager
def new_folder(folder: Path, what: str, refusals: tuple[type[Exception], ...] = (OSError,)) -> Iterator[Path]:
    """Yield an empty folder to write into, which gets its own name when the block ends without an error.

    `what` names in words what is written, `refusals` what a disk that refuses raises.
    Raises: InputError if the folder exists; StorageError if the disk refuses.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another folder or remove it.")
    aside = folder.with_name(folder.name + WRITING)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        aside.replace(folder)
    except refusals as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{what} could not be written to {folder} ({reason}): make room there.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


REFUSALS = (OSError, SafetensorError)
"""What a disk refuses to write weights with: of a full one safetensors makes an error of its own."""


def share(folder: Path) -> None:
    """Let whoever may read the settings in a folder read the weights beside them, which are their owner's alone."""
    for weights in folder.rglob("*.safetensors"):
        shutil.copymode(next(weights.parent.glob("*.json")), weights)
