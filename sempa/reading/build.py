"""Read a corpus into an index, alone or as one of several processes, and go on where a reading broke off."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from sempa.models.processes import Processes
from sempa.reading.coders import SparseEncoder
from sempa.reading.encoder import Encoder, Progress
from sempa.reading.index import SentenceIndex
from sempa.reading.parquet import write_parquet
from sempa.reading.row_file import RowFile

BLOCK = 16_384
"""Texts a process reads before its rows go to disk: all that it holds of them in memory."""


def reading_folder(folder: Path) -> Path:
    """Name the folder for what is read of an index, beside its own: it goes once the index is saved."""
    return folder.with_name(f".{folder.name}-reading")


def _silent(done: int, total: int) -> None:
    pass


def read_into(
    index: SentenceIndex,
    encoder: Encoder,
    processes: Processes,
    kept: Path,
    parquet: Path | None = None,
    progress: Progress = _silent,
) -> None:
    """Read the index's texts with every variant: each process its part of a block, the first receives the vectors.

    The vectors go to files in the folder `kept` block by block; the same reading goes on after the blocks it finds
    there. With `parquet`, each process also writes its part of a block to `parquet/VARIANT/FIRST_ID.parquet`.
    Raises: what `encode`, `SentenceIndex.add` and `write_parquet` raise; StorageError if the disk refuses.
    """
    texts = index.corpus.texts
    corpus = _digest(texts)
    for variant in encoder.variants:
        recipe = encoder.recipe(variant)
        asked = json.dumps([asdict(recipe), str(encoder.pair.info.precision), corpus], sort_keys=True)
        held = RowFile(kept / f"{variant}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.rows", encoder.width)
        shards = None if parquet is None else parquet / variant
        unread = _unread(held, processes, len(texts), shards)
        progress(unread[0].start if unread else len(texts), len(texts))
        for block in unread:
            numbers = processes.part(block)
            own = [texts[number] for number in numbers]
            rows = encoder.encode(own, variant, progress=_onward(progress, block, len(texts)))
            if shards and own:
                write_parquet(_shard(shards, numbers[0]), numbers[0], own, rows, recipe)
            collected = processes.collect(torch.from_numpy(rows), len(block))
            if collected is not None:
                held.append(collected.numpy())
        if processes.first:
            index.add(recipe, held.rows())


def _unread(held: RowFile, processes: Processes, count: int, shards: Path | None) -> list[range]:
    """Return the blocks of `count` texts that are still to be read; all processes get the same."""
    size = BLOCK * processes.count

    def whole() -> int:
        kept = len(held) if len(held) == count else len(held) // size * size
        if shards:
            kept = next((at for at in range(0, kept, size) if not _shard(shards, at).is_file()), kept)
        held.cut(kept)
        return kept

    start = int(processes.from_first(whole, together=False))
    if shards:
        for path in shards.glob("*.parquet"):  # of another corpus, or read by another number of processes
            if path.stem.isdigit() and int(path.stem) >= start:
                path.unlink(missing_ok=True)
        processes.wait()
    return [range(at, min(at + size, count)) for at in range(start, count, size)]


def _shard(folder: Path, first: int) -> Path:
    return folder / f"{first:012}.parquet"


def _onward(progress: Progress, block: range, count: int) -> Progress:
    """Return what tells one process's progress in its part of a block as that of all in the whole corpus."""
    return lambda done, own: progress(block.start + done * len(block) // own, count)


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def code_into(index: SentenceIndex, reader: SparseEncoder) -> None:
    """Add the sparse codes of the vectors that an index holds, for every variant that has none of this recipe yet.

    Raises: RecipeMismatch if there are no vectors to code; what `codes` raises.
    """
    for variant in reader.encoder.variants:
        if (recipe := reader.recipe(variant)) not in index.recipes:
            rows = index.rows(reader.encoder.recipe(variant))
            index.add(recipe, reader.codes(rows, variant))
