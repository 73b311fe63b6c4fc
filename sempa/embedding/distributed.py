"""Embed more text than one machine reads: Ray actors, each with an encoder of its own, write Parquet shards."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sempa import errors
from sempa.embedding.build import encode_block
from sempa.embedding.encoder import Encoder, Progress
from sempa.embedding.index import SentenceIndex
from sempa.embedding.parquet import is_written, keep_shards, read_shards, write_shard
from sempa.embedding.row_file import RowFile
from sempa.errors import InputError
from sempa.files import atomic_file

SHARD_ROWS = 8_192
"""Texts of one shard: what an actor that ends early loses, and what a broken-off run computes again."""
_STAGED = ".texts"

OpenEncoder = Callable[[], Encoder]
"""Opens an actor's encoder. Ray sends it to each actor, so it must be picklable, as `functools.partial(...)` is."""


def embed_shards(
    texts: Iterable[str],
    folder: Path,
    open_encoder: OpenEncoder,
    variants: Sequence[str],
    *,
    actors: int,
    progress: Progress | None = None,
) -> int:
    """Embed texts on Ray actors into `folder/VARIANT/*.parquet`, columns id, text, vector; return how many there are.

    Texts may come from a generator: one shard's are held here at a time. All machines must see `folder`. The same call
    resumes after the shards it finds of these texts and this recipe. A local cluster is started unless `RAY_ADDRESS`
    names one; if it has GPUs, each actor gets one. `progress` counts texts.
    Raises: InputError if ray is missing, or there is no text or no actor; what `encode_block` and `write_shard` raise.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError("Actors need Ray: pip install 'ray[data]'.") from None
    if actors < 1:
        raise InputError(f"The number of actors is {actors}: it must be at least 1.")
    folder = folder.resolve()
    firsts, count = _stage(texts, folder / _STAGED)
    ray.init(include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    ray.data.DataContext.get_current().enable_progress_bars = False
    share: dict[str, Any] = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {"num_cpus": 1}
    embedded = ray.data.from_items([{"first": first} for first in firsts], override_num_blocks=len(firsts)).map_batches(
        _Actor,
        fn_constructor_args=(open_encoder, tuple(variants), folder),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(firsts))),
        **share,
    )
    done = 0
    for row in embedded.iter_rows():
        if row["error"]:
            raise getattr(errors, row["kind"])(row["error"])
        done += int(row["texts"])
        if progress:
            progress(done, count)
    for variant in variants:
        keep_shards(folder / variant, firsts)
    shutil.rmtree(folder / _STAGED)
    return count


def add_shards(index: SentenceIndex, folder: Path, scratch: Path) -> None:
    """Add one model's shards, of all texts of an index, to it; vectors wait in `scratch`, not in memory.

    Raises: what `read_shards`, `RowFile` and `SentenceIndex.add` raise.
    """
    recipe, tables = read_shards(folder)
    scratch.unlink(missing_ok=True)
    file = None
    for rows in tables:
        file = file or RowFile(scratch, rows.shape[1])
        file.append(rows)
    if file:
        index.add(recipe, file.rows())


def _stage(texts: Iterable[str], folder: Path) -> tuple[list[int], int]:
    """Write texts, SHARD_ROWS to a file, for actors to read; return each file's first id and the number of texts."""
    firsts, count, rest = [], 0, iter(texts)
    while some := list(islice(rest, SHARD_ROWS)):
        with atomic_file(_staged(folder, count), "The texts") as aside:
            aside.write_text(json.dumps(some), encoding="utf-8")
        firsts.append(count)
        count += len(some)
    if not firsts:
        raise InputError("There is no text to embed.")
    return firsts, count


def _staged(folder: Path, first: int) -> Path:
    return folder / f"{first:012}.json"


class _Actor:
    """Embed staged texts, one shard per call; what an earlier run wrote is not computed again."""

    def __init__(self, open_encoder: OpenEncoder, variants: Sequence[str], folder: Path) -> None:
        self._encoder, self._variants, self._folder = open_encoder(), variants, folder

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        first = int(batch["first"][0])
        texts = json.loads(_staged(self._folder / _STAGED, first).read_text(encoding="utf-8"))
        try:
            for variant in self._variants:
                self._embed(variant, first, texts)
        except errors.SempaError as error:  # within Ray's own errors its kind would be lost
            return {"texts": [0], "kind": [type(error).__name__], "error": [str(error)]}
        return {"texts": [len(texts)], "kind": [""], "error": [""]}

    def _embed(self, variant: str, first: int, texts: Sequence[str]) -> None:
        folder, recipe = self._folder / variant, self._encoder.recipe(variant)
        if not is_written(folder, first, texts, recipe):
            write_shard(folder, first, texts, encode_block(self._encoder, texts, variant, first), recipe)
