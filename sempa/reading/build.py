"""Read a corpus into an index, alone or as one of several processes."""

from pathlib import Path

import torch

from sempa.models.processes import Processes
from sempa.reading.coders import SparseEncoder
from sempa.reading.encoder import Encoder, Progress
from sempa.reading.index import SentenceIndex
from sempa.reading.parquet import write_parquet


def read_into(
    index: SentenceIndex,
    encoder: Encoder,
    processes: Processes,
    parquet: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Read the index's texts with every variant: each process its part, the first receives all vectors.

    With `parquet`, each process also writes what it reads to `parquet/VARIANT/RANK-of-COUNT.parquet`.
    Raises: what `encode`, `SentenceIndex.add` and `write_parquet` raise.
    """
    texts = index.corpus.texts
    numbers = processes.part(range(len(texts)))
    own = [texts[number] for number in numbers]
    for variant in encoder.variants:
        recipe = encoder.recipe(variant)
        rows = encoder.encode(own, variant, progress=progress)
        if parquet is not None and own:
            name = f"{processes.rank:05}-of-{processes.count:05}.parquet"
            write_parquet(parquet / variant / name, numbers[0], own, rows, recipe)
        collected = processes.collect(torch.from_numpy(rows), len(texts))
        if collected is not None:
            index.add(recipe, collected.numpy())


def code_into(index: SentenceIndex, reader: SparseEncoder) -> None:
    """Add the sparse codes of the vectors that an index holds, for every variant that has none of this recipe yet.

    Raises: RecipeMismatch if there are no vectors to code; what `codes` raises.
    """
    for variant in reader.encoder.variants:
        if (recipe := reader.recipe(variant)) not in index.recipes:
            rows = index.rows(reader.encoder.recipe(variant))
            index.add(recipe, reader.codes(rows, variant))
