"""Vectors as Parquet files, which vector databases and data frames load."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.files import atomic_file, writing

Rows = NDArray[np.float32]
_SHARD = re.compile(r"\d{12}\.parquet")
ROWS_A_FILE, ROWS_A_GROUP = 131_072, 8_192


def write_shards(folder: Path, texts: Sequence[str], rows: Rows, recipe: EncoderConfig) -> None:
    """Write N texts and their (N, D) float32 rows as Parquet files with the columns id, text, vector, in their order.

    A file is named by its first id, `000000131072.parquet`; those of an earlier time are removed. The recipe is kept as
    JSON under each file's metadata key `sempa`. A file appears when it is whole.
    Raises: StorageError if the disk refuses.
    """
    metadata = {"sempa": json.dumps(asdict(recipe))}
    with writing("The vectors", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _SHARD.fullmatch(path.name):
                path.unlink()
        for first in range(0, len(texts), ROWS_A_FILE):
            own, vectors = texts[first : first + ROWS_A_FILE], rows[first : first + ROWS_A_FILE]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), pa.float32()), rows.shape[1])
            columns = {"id": pa.array(range(first, first + len(own)), pa.int64()), "text": pa.array(own, pa.string())}
            table = pa.table(columns | {"vector": lists}, metadata=metadata)
            path = folder / f"{first:012}.parquet"
            with atomic_file(path, "The vectors") as aside:
                pq.write_table(table, aside, row_group_size=ROWS_A_GROUP)
