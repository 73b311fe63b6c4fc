"""Embed a corpus into an index: in memory for the app, resumable and shared by several processes for the terminal."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
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
"""Texts per process that are embedded before their rows are written to disk."""


def partial_folder(folder: Path) -> Path:
    """Return the folder of an unfinished index's rows, beside its own; remove it once the index is saved."""
    return folder.with_name(f".{folder.name}-partial")


def embed_corpus(
    index: SentenceIndex,
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    variants: Sequence[str] = (),
    processes: Processes | None = None,
    partial: Path | None = None,
    parquet: Path | None = None,
) -> None:
    """Add the vectors of an encoder's models to an index: of `variants`, by default of all.

    With `partial`, rows are written to that folder block by block, and the same call resumes after them. Several
    processes share each block, and the first one gets the vectors. With `parquet`, it also writes them as Parquet files
    to `parquet/VARIANT`. `progress` counts the vectors of all models.
    Raises: what `encode`, `SentenceIndex.add` and `write_shards` raise; InputError for a vector that is not finite or
    is zero; StorageError if the disk refuses.
    """
    variants, processes = variants or encoder.variants, processes or Processes()
    texts = index.corpus.texts
    with tempfile.TemporaryDirectory() as memory:
        files = [
            RowFile(_path(partial or Path(memory), index, encoder, variant), encoder.width) for variant in variants
        ]
        for number, (variant, file) in enumerate(zip(variants, files, strict=True)):

            def counted(done: int, before: int = number * len(texts)) -> None:
                if progress:
                    progress(before + done, len(variants) * len(texts))

            _embed(file, texts, encoder, variant, processes, counted)
        if processes.first:  # the other processes are done
            for variant, file in zip(variants, files, strict=True):
                recipe = encoder.recipe(variant)
                if parquet is not None:
                    write_shards(parquet / variant, texts, file.rows(), recipe)
                index.add(recipe, file.rows())


def _path(folder: Path, index: SentenceIndex, encoder: Encoder, variant: str) -> Path:
    """Name a variant's file of rows after everything its numbers depend on."""
    digest = hashlib.sha256(json.dumps([asdict(encoder.recipe(variant)), str(encoder.pair.info)]).encode())
    for text in index.corpus.texts:
        digest.update(f"{len(text)}:{text}".encode())
    return folder / f"{variant}-{digest.hexdigest()[:16]}.rows"


def _embed(
    file: RowFile,
    texts: Sequence[str],
    encoder: Encoder,
    variant: str,
    processes: Processes,
    progress: Callable[[int], None],
) -> None:
    """Embed the texts that are not in the first process's file yet."""

    def kept() -> int:
        if len(file) != len(texts):  # an incomplete block is computed again, so that its vectors are the same
            file.cut(len(file) // BLOCK * BLOCK)
        return len(file)

    start, size = int(processes.from_first(kept, together=False)), BLOCK * processes.count
    progress(start)
    for at in range(start, len(texts), size):
        block = range(at, min(at + size, len(texts)))
        numbers = processes.part(block)

        def shared(done: int, own: int, block: range = block) -> None:
            progress(block.start + done * len(block) // own)

        first = numbers[0] if numbers else 0
        rows = encoder.encode([texts[number] for number in numbers], variant, progress=shared, first=first)
        if not of_unit_length(rows):
            raise InputError(f"The model returned no usable vector for one of the texts {first} to {numbers[-1]}.")
        gathered = processes.gather(torch.from_numpy(rows), len(block))
        if processes.first:
            file.append(gathered.cpu().numpy())
    progress(len(texts))
