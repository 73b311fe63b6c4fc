"""On-disk cache of per-item model outputs, shared by evaluations."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.embedding.encoder import Encoder, Rows
from sempa.errors import StorageError
from sempa.files import atomic_file, cache_folder
from sempa.machine import MEASURING, hardware, versions
from sempa.models.pair import SEMPA, ModelPair
from sempa.models.preference import TEMPLATE, preference

REPORT_EVERY = 2_000
"""Sentences or requests between two progress reports."""
MAX_ENTRY = 2**28
"""Maximum bytes of an entry: vectors of about 100,000 texts from the default model."""
MAX_TOTAL = 2**31
"""Maximum bytes of all entries; beyond it, the least recently used are evicted."""

log = logging.getLogger(__name__)


class ResultCache:
    """Cache arrays by request, for one precision, this machine and the installed package versions."""

    def __init__(self, precision: str, **context: Any) -> None:
        """Take the precision and, in `context`, anything else that outputs depend on, such as the judge."""
        self._context = {**context, "precision": precision}

    def cached(self, request: Mapping[str, Any], compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the cached array of an equal request, or compute and cache it.

        An unreadable entry is computed again; a full disk only causes a warning.
        """
        key = json.dumps([request, self._context, hardware(), versions(*MEASURING)], sort_keys=True, default=str)
        path = cache_folder() / "results" / f"{hashlib.sha256(key.encode()).hexdigest()}.npy"
        if (found := _read(path)) is None:
            found = compute()
            if found.nbytes <= MAX_ENTRY:
                _write(path, found)
        return found


def _read(path: Path) -> NDArray[Any] | None:
    try:
        found: NDArray[Any] = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        log.warning("The cached result %s cannot be read (%s): computing it again.", path, error)
        return None
    with suppress(OSError):
        os.utime(path)  # mark as recently used
    return found


def _write(path: Path, values: NDArray[Any]) -> None:
    try:
        with atomic_file(path, "The cached result") as aside:
            np.save(aside, values, allow_pickle=False)
        _evict(path.parent)
    except (StorageError, OSError) as error:
        log.warning("%s", error)


def _evict(folder: Path) -> None:
    total = 0
    entries = [(path.stat(), path) for path in folder.iterdir()]
    for entry, path in sorted(entries, key=lambda each: each[0].st_mtime_ns, reverse=True):
        total += entry.st_size
        if total > MAX_TOTAL:
            path.unlink(missing_ok=True)


def cached_rows(
    encoder: Encoder, variant: str, texts: Sequence[str], report: Callable[[str], None] = lambda _: None
) -> Rows:
    """Return (N, D) unit rows of the texts, cached if possible.

    Raises: what `Encoder.encode` raises.
    """
    progress = _reporting(report, f"{variant}: {{:,}} of {{:,}} sentences embedded")
    request = {"recipe": asdict(encoder.recipe(variant)), "texts": list(texts)}
    cache = ResultCache(str(encoder.pair.info.precision))
    rows: Rows = cache.cached(request, lambda: encoder.encode(texts, variant, progress=progress))
    return rows


def cached_preferences(
    pair: ModelPair, pairs: Sequence[tuple[str, str]], report: Callable[[str], None] = lambda _: None
) -> NDArray[np.float32]:
    """Return the preference scores (N,) of pairs of sentences, cached if possible.

    Raises: what `preference` raises.
    """
    progress = _reporting(report, "preference: {:,} of {:,} requests scored")
    request = {"preference": list(pairs), "template": TEMPLATE, "model": asdict(pair.recipe(SEMPA, EncoderConfig()))}
    return ResultCache(str(pair.info.precision)).cached(request, lambda: preference(pair, pairs, progress=progress))


def _reporting(report: Callable[[str], None], line: str) -> Callable[[int, int], None]:
    """Return a callback of (done, total) that reports every REPORT_EVERY items and at the end."""
    reported = 0

    def progress(done: int, total: int) -> None:
        nonlocal reported
        if done < reported or done - reported >= REPORT_EVERY or done == total:
            reported = done
            report(line.format(done, total))

    return progress
