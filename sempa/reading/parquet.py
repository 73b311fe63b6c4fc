"""Vectors as Parquet files, which vector databases and data frames load."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.errors import StorageError

Rows = NDArray[np.float32]
ROWS_A_GROUP = 8_192


def write_parquet(path: Path, first: int, texts: Sequence[str], rows: Rows, recipe: EncoderConfig) -> None:
    """Write N texts and their (N, D) float32 rows with the columns id, text, vector; ids count on from `first`.

    The recipe is kept as JSON under the file's metadata key `sempa`. The file appears when it is whole.
    Raises: StorageError if the disk refuses.
    """
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1), pa.float32()), rows.shape[1])
    columns = {"id": pa.array(range(first, first + len(texts)), pa.int64()), "text": pa.array(texts, pa.string())}
    table = pa.table(columns | {"vector": vectors}, metadata={"sempa": json.dumps(asdict(recipe))})
    aside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, aside, row_group_size=ROWS_A_GROUP)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"The vectors could not be written to {path} ({error.strerror or error}).") from error
