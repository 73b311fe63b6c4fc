"""Read a corpus into an index, alone or as one of several processes, and go on where a reading broke off."""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from sempa.embedding.encoder import Encoder, Progress
from sempa.embedding.index import SentenceIndex
from sempa.embedding.parquet import write_shards
from sempa.embedding.row_file import RowFile
from sempa.embedding.vectors import of_unit_length
from sempa.errors import InputError
from sempa.models.processes import Processes

BLOCK = 2_048
"""Texts a process reads before their rows go to disk."""


def reading_folder(folder: Path) -> Path:
    """Name the folder for what is read of an index, beside its own: it goes once the index is saved."""
    return folder.with_name(f".{folder.name}-reading")


def read_into(
    index: SentenceIndex,
    encoder: Encoder,
    processes: Processes,
    kept: Path,
    parquet: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Read the index's texts with every variant: each process its part of a block, the first receives the vectors.

    The vectors go to files in the folder `kept` block by block; the same reading goes on after the blocks it finds
    there. With `parquet`, the first process also writes them as Parquet files to `parquet/VARIANT`.
    Raises: what `encode`, `SentenceIndex.add` and `write_shards` raise; InputError for a vector that is no direction;
    StorageError if the disk refuses.
    """
    texts = index.corpus.texts
    corpus = _digest(texts)
    read = {}
    for variant in encoder.variants:
        asked = json.dumps([asdict(encoder.recipe(variant)), str(encoder.pair.info), corpus], sort_keys=True)
        name = f"{variant}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.rows"
        read[variant] = RowFile(kept / name, encoder.width)
        _read(read[variant], texts, encoder, variant, processes, progress or (lambda *_: None))
    if processes.first:  # the others need not wait for what follows
        for variant, rows in read.items():
            recipe = encoder.recipe(variant)
            if parquet is not None:
                write_shards(parquet / variant, texts, rows.rows(), recipe)
            index.add(recipe, rows.rows())


def _read(
    held: RowFile, texts: Sequence[str], encoder: Encoder, variant: str, processes: Processes, progress: Progress
) -> None:
    """Read what is not held yet of the texts; the first process holds it."""

    def begun() -> int:
        if len(held) != len(texts):  # a block that broke off is read again, so that its vectors are the same
            held.cut(len(held) // BLOCK * BLOCK)
        return len(held)

    start, size = int(processes.from_first(begun, together=False)), BLOCK * processes.count
    progress(start, len(texts))
    for at in range(start, len(texts), size):
        block = range(at, min(at + size, len(texts)))
        numbers = processes.part(block)
        own = [texts[number] for number in numbers]
        tells = functools.partial(_tell, progress, block, len(texts))
        rows = encoder.encode(own, variant, progress=tells, first=numbers[0] if own else 0)
        if not of_unit_length(rows):
            raise InputError(
                f"A vector of the texts from {numbers[0]} to {numbers[-1]} is no direction: see the model."
            )
        collected = processes.collect(torch.from_numpy(rows), len(block))
        if collected is not None:
            held.append(collected.numpy())
    progress(len(texts), len(texts))


def _tell(progress: Progress, block: range, count: int, done: int, own: int) -> None:
    """Tell one process's progress in its part of a block as that of all in the whole corpus."""
    progress(block.start + done * len(block) // own, count)


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()
