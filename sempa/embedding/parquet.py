"""Write vectors as Parquet files for vector databases and data frames."""

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
FILE_ROWS, GROUP_ROWS = 131_072, 8_192


def write_shards(folder: Path, texts: Sequence[str], rows: Rows, recipe: EncoderConfig) -> None:
    """Write N texts and their (N, D) float32 rows as Parquet files with the columns id, text, vector, in their order.

    A file is named by its first id, `000000131072.parquet`; older ones are removed. The recipe is JSON under each
    file's metadata key `sempa`. A file appears when it is complete.
    Raises: StorageError if the disk refuses.
    """
    metadata = {"sempa": json.dumps(asdict(recipe))}
    with writing("The vectors", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _SHARD.fullmatch(path.name):
                path.unlink()
        for first in range(0, len(texts), FILE_ROWS):
            own, vectors = texts[first : first + FILE_ROWS], rows[first : first + FILE_ROWS]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), pa.float32()), rows.shape[1])
            columns = {"id": pa.array(range(first, first + len(own)), pa.int64()), "text": pa.array(own, pa.string())}
            table = pa.table(columns | {"vector": lists}, metadata=metadata)
            path = folder / f"{first:012}.parquet"
            with atomic_file(path, "The vectors") as aside:
                pq.write_table(table, aside, row_group_size=GROUP_ROWS)
