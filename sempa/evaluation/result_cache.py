"""What was computed of a model item by item, kept in the cache folder: the same is not asked of it again."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.config import cache_folder
from sempa.embedding.encoder import Encoder, Rows
from sempa.files import atomic_file
from sempa.machine import MEASURING, hardware, versions

OFTEN = 2_000
"""Sentences after which it is said how far the reading is."""
KEPT = 2**28
"""Bytes of rows up to which they are kept: those of about a hundred thousand texts read by the default model."""


def cached(precision: str, asked: Mapping[str, Any], compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return an array from the cache folder if the same was asked of the same model on this machine before.

    Reading whole sets takes half an hour on two cores.
    """
    environment = [asked, precision, hardware(), versions(*MEASURING)]
    key = hashlib.sha256(json.dumps(environment, sort_keys=True, default=str).encode()).hexdigest()
    path = cache_folder() / "outcomes" / f"{key}.npy"
    if path.is_file():
        kept: NDArray[Any] = np.load(path, allow_pickle=False)
        return kept
    found = compute()
    with atomic_file(path, "The result") as aside:
        np.save(aside, found, allow_pickle=False)
    return found


def read_rows(
    encoder: Encoder, variant: str, texts: Sequence[str], report: Callable[[str], None] = lambda _: None
) -> Rows:
    """Return (N, D) unit rows of the texts, from the cache folder where they were read before and are not too many.

    Raises: what `Encoder.encode` raises.
    """
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done - told >= OFTEN or done == total:
            told = done
            report(f"{variant}: {done:,} of {total:,} sentences read")

    def read() -> Rows:
        return encoder.encode(texts, variant, progress=progress)

    if len(texts) * encoder.width * np.float32().itemsize > KEPT:
        return read()
    asked = {"recipe": asdict(encoder.recipe(variant)), "texts": list(texts)}
    rows: Rows = cached(str(encoder.pair.info.precision), asked, read)
    return rows
