"""Embed a corpus into an index: in memory for the app, resumable for the terminal."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from sempa.embedding.encoder import Encoder, Progress, Rows
from sempa.embedding.index import SentenceIndex
from sempa.embedding.parquet import write_shards
from sempa.embedding.row_file import RowFile
from sempa.embedding.vectors import of_unit_length
from sempa.errors import InputError

BLOCK = 512
"""Texts that are embedded before their rows are written to disk: ten seconds on two cores."""


def partial_folder(folder: Path) -> Path:
    """Return where rows of an unfinished index are kept, beside its folder; remove it once the index is saved."""
    return folder.with_name(f".{folder.name}-partial")


def embed_corpus(
    index: SentenceIndex,
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    variants: Sequence[str] = (),
    partial: Path | None = None,
    parquet: Path | None = None,
) -> None:
    """Add the vectors of an encoder's models to an index: of `variants`, by default of all.

    With `partial`, rows are kept in that folder block by block, and the same call resumes after the blocks it finds.
    With `parquet`, vectors are also written as Parquet files to `parquet/VARIANT`. `progress` counts the vectors of all
    models.
    Raises: what `encode_block`, `SentenceIndex.add` and `write_shards` raise; StorageError if the disk refuses.
    """
    variants = variants or encoder.variants
    texts = index.corpus.texts
    with tempfile.TemporaryDirectory() as memory:
        files = [
            RowFile(_path(partial or Path(memory), index, encoder, variant), encoder.width) for variant in variants
        ]
        for number, (variant, file) in enumerate(zip(variants, files, strict=True)):

            def counted(done: int, before: int = number * len(texts)) -> None:
                if progress:
                    progress(before + done, len(variants) * len(texts))

            _embed(file, texts, encoder, variant, counted)
        for variant, file in zip(variants, files, strict=True):
            recipe = encoder.recipe(variant)
            if parquet is not None:
                write_shards(parquet / variant, texts, file.rows(), recipe)
            index.add(recipe, file.rows())


def encode_block(
    encoder: Encoder, texts: Sequence[str], variant: str, first: int, progress: Progress | None = None
) -> Rows:
    """Return the (N, D) embeddings of texts that are numbered from `first`.

    Raises: what `encode` raises; InputError for a vector that is not finite or has no direction.
    """
    rows = encoder.encode(texts, variant, progress=progress, first=first)
    if not of_unit_length(rows):
        raise InputError(
            f"The model returned no usable vector for one of the texts {first} to {first + len(texts) - 1}."
        )
    return rows


def _path(folder: Path, index: SentenceIndex, encoder: Encoder, variant: str) -> Path:
    """Name a variant's file of rows after all that its numbers depend on."""
    digest = hashlib.sha256(json.dumps([asdict(encoder.recipe(variant)), str(encoder.pair.info)]).encode())
    for text in index.corpus.texts:
        digest.update(f"{len(text)}:{text}".encode())
    return folder / f"{variant}-{digest.hexdigest()[:16]}.rows"


def _embed(
    file: RowFile, texts: Sequence[str], encoder: Encoder, variant: str, progress: Callable[[int], None]
) -> None:
    """Embed the texts whose rows the file does not hold yet."""
    if len(file) != len(texts):  # a block that broke off is computed again, so that its vectors are the same
        file.cut(len(file) // BLOCK * BLOCK)
    progress(len(file))
    for first in range(len(file), len(texts), BLOCK):

        def within(done: int, _: int, first: int = first) -> None:
            progress(first + done)

        file.append(encode_block(encoder, texts[first : first + BLOCK], variant, first, within))
    progress(len(texts))
