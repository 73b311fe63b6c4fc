"""Write vectors as Parquet files for vector databases, data frames and map viewers."""

import hashlib
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.data.corpora import Corpus
from sempa.errors import StorageError
from sempa.files import atomic_file, writing

Rows = NDArray[np.float32]
_SHARD = re.compile(r"\d{12}\.parquet")
FILE_ROWS, GROUP_ROWS = 131_072, 8_192


def write_shards(folder: Path, texts: Sequence[str], rows: Rows, recipe: EncoderConfig) -> None:
    """Write N texts and their (N, D) float32 rows as Parquet files with the columns id, text, vector, in their order.

    Older files are removed. Raises: what `write_shard` raises.
    """
    keep_shards(folder, ())
    for first in range(0, len(texts), FILE_ROWS):
        own = slice(first, first + FILE_ROWS)
        write_shard(folder, first, texts[own], rows[own], recipe)


def write_shard(folder: Path, first: int, texts: Sequence[str], rows: Rows, recipe: EncoderConfig) -> None:
    """Write one file, named by its first id: `000000131072.parquet`. It appears when it is complete.

    The recipe is JSON under the metadata key `sempa`, the hash of the texts under `texts`.
    Raises: StorageError if the disk refuses.
    """
    columns = {"id": pa.array(range(first, first + len(texts)), pa.int64()), "text": pa.array(texts, pa.string())}
    table = pa.table(columns | {"vector": _lists(rows)}, metadata=_metadata(texts, recipe))
    with atomic_file(_path(folder, first), "The vectors") as aside:
        pq.write_table(table, aside, row_group_size=GROUP_ROWS)


def is_written(folder: Path, first: int, texts: Sequence[str], recipe: EncoderConfig) -> bool:
    """Return whether a complete file of these texts and this recipe is there."""
    path = _path(folder, first)
    known = (pq.read_schema(path).metadata or {}) if path.is_file() else {}
    return all(known.get(name) == value for name, value in _metadata(texts, recipe).items())


def read_shards(folder: Path) -> tuple[EncoderConfig, Iterator[Rows]]:
    """Return the recipe of a folder's files, and their (M, D) rows in the order of ids.

    Raises: StorageError if there is no file.
    """
    paths = sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name)) if folder.is_dir() else []
    if not paths:
        raise StorageError(f"{folder} holds no vectors: embed the texts first.")
    recipe = EncoderConfig(**json.loads(pq.read_schema(paths[0]).metadata[b"sempa"]))
    return recipe, (_vectors(path) for path in paths)


def _vectors(path: Path) -> Rows:
    column = pq.read_table(path, columns=["vector"])["vector"].combine_chunks()
    flat: Rows = column.flatten().to_numpy()
    return flat.reshape(len(column), -1)


def keep_shards(folder: Path, firsts: Collection[int]) -> None:
    """Make the folder, and remove the files in it that do not begin with one of these ids.

    Raises: StorageError if the disk refuses.
    """
    names = {_path(folder, first).name for first in firsts}
    with writing("The vectors", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _SHARD.fullmatch(path.name) and path.name not in names:
                path.unlink()


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:012}.parquet"


def _metadata(texts: Sequence[str], recipe: EncoderConfig) -> dict[bytes, bytes]:
    digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
    return {b"sempa": json.dumps(asdict(recipe)).encode(), b"texts": digest.encode()}


def map_table(corpus: Corpus, rows: Mapping[str, Rows], points: Mapping[str, Rows]) -> bytes:
    """Return a Parquet file of texts, their tags, and by model (N, D) vectors and (N, 2) map coordinates.

    Its columns are id, text, the tags, and for each model MODEL_x, MODEL_y and MODEL_vector.
    """
    columns = {"id": pa.array(range(len(corpus.texts)), pa.int64()), "text": pa.array(corpus.texts, pa.string())}
    for tag in corpus.tags[0]:
        columns[tag] = pa.array([tags.get(tag, "") for tags in corpus.tags], pa.string())
    for name, vectors in rows.items():
        columns |= {f"{name}_{axis}": pa.array(points[name][:, at], pa.float32()) for at, axis in enumerate("xy")}
        columns[f"{name}_vector"] = _lists(vectors)
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, row_group_size=GROUP_ROWS)
    return stream.getvalue()


def _lists(vectors: Rows) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
