"""Cache of GGUF weights as safetensors: de-quantising 268 million parameters takes 80 s, so it is done once.

An entry is a folder in `cache_folder()`: that of a named model, or one named after a GGUF file's SHA-256 and a
number format. Its marker file, written last, holds the SHA-256 of the others; damaged entries are made again.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sempa.files import COMPLETE, REFUSALS, abandoned, cache_folder, locked, sha256_of, share
from sempa.models.load import ModelSource, Report, read_weights
from sempa.models.named import NAMED
from sempa.models.precision import Precision

log = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**30
"""Maximum bytes of all entries; beyond it, the least recently used are deleted, but no named model."""
UNFINISHED = ".converting-"
SAMPLES, SAMPLED = 16, 2**18
"""Places of a file, and bytes at each, that its fingerprint covers."""


class Conversion(NamedTuple):
    """A kept conversion: its folder, the GGUF file it came from, its size, and when it was last opened (Unix time)."""

    folder: Path
    gguf: str
    bytes: int
    used: float


def converted(source: ModelSource, precision: Precision, report: Report = log.info) -> ModelSource:
    """Return the safetensors of a GGUF file, converted on first use; other sources are returned unchanged.

    Weights are stored in the requested number format. If the disk refuses, the GGUF file itself is returned.
    Raises: ModelUnavailable for a file that is not GGUF, or not of a causal language model.
    """
    if not source.gguf_file or precision.four_bit:
        return source
    gguf = Path(source.location) / source.gguf_file
    dtype = str(precision.dtype).removeprefix("torch.")
    folder = cache_folder() / f"gguf-{sha256_of(gguf)[:16]}-{dtype}"
    if not is_kept(folder):
        report(f"Converting {source.gguf_file} to safetensors, once ...")
        try:
            convert(lambda _: gguf, folder, replace(precision, device="cpu"))
        except REFUSALS as error:
            log.warning("The conversion of %s cannot be saved in %s (%s).", gguf, folder.parent, error)
            return source
        _evict(folder)
    return replace(source, location=str(folder), gguf_file=None)


def is_kept(folder: Path) -> bool:
    """Return whether an entry is complete and undamaged, and mark it as used."""
    marker = folder / COMPLETE
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(marker.read_text(encoding="utf-8"))["files"] == _checksums(folder):
            os.utime(marker)
            return True
    return False


def convert(find_gguf: Callable[[Path], Path], folder: Path, precision: Precision, beside: str = "") -> None:
    """Make an entry from the GGUF file that `find_gguf` returns, which gets a scratch folder to fetch it into.

    A file named `beside` in the scratch folder is kept with the weights.

    Raises: OSError or SafetensorError if the disk refuses; ModelUnavailable for a file that is not a model.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=UNFINISHED) as scratch, locked(Path(scratch)):
        gguf = find_gguf(Path(scratch))
        made = Path(scratch) / "model"
        model, tokenizer = read_weights(ModelSource(gguf.name, str(gguf.parent), gguf.name), precision)
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        share(made)
        if beside and (Path(scratch) / beside).is_file():
            shutil.copy(Path(scratch) / beside, made)
        facts = {"gguf": gguf.name, "sha256": sha256_of(gguf), "files": _checksums(made)}
        (made / COMPLETE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        if not (folder / COMPLETE).is_file():  # else another process made it meanwhile
            made.replace(folder)


def conversions() -> list[Conversion]:
    """Return all complete entries, the least recently used first."""
    found = []
    for marker in cache_folder().glob(f"*/{COMPLETE}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            gguf = str(json.loads(marker.read_text(encoding="utf-8"))["gguf"])
            size = sum(file.stat().st_size for file in marker.parent.iterdir())
            found.append(Conversion(marker.parent, gguf, size, marker.stat().st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def clear(names: Collection[str] = ()) -> int:
    """Delete the named entries, or all and the leftovers of interrupted conversions; return the bytes freed."""
    going = [entry for entry in conversions() if not names or entry.folder.name in names]
    for entry in going:
        shutil.rmtree(entry.folder, ignore_errors=True)
    if not names:
        _remove_unfinished()
    return sum(entry.bytes for entry in going)


def _remove_unfinished() -> None:
    """Delete what killed conversions left."""
    for left in cache_folder().glob(f"{UNFINISHED}*"):
        if abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
            log.warning("Removed %s, which a killed conversion left behind.", left)


def _evict(newest: Path) -> None:
    entries = conversions()
    total = sum(entry.bytes for entry in entries)
    for entry in entries:
        if total > MOST_BYTES and entry.folder != newest and entry.folder.name not in NAMED:
            shutil.rmtree(entry.folder, ignore_errors=True)
            total -= entry.bytes


def _checksums(folder: Path) -> dict[str, str]:
    return {file.name: sha256_of(file) for file in folder.iterdir() if file.name != COMPLETE}


def fingerprint(files: Iterable[Path]) -> str:
    """Return a hash of the files' names, sizes and bytes at SAMPLES places: large models take minutes to read."""
    found = hashlib.sha256()
    for path in sorted(files):
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            for place in range(SAMPLES):
                stream.seek(size * place // SAMPLES)
                found.update(stream.read(SAMPLED))
    return found.hexdigest()[:16]
