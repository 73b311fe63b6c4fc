"""A corpus embedded by two processes or in two sessions gives one index, and Parquet files that other engines load."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sempa.data.corpora import Corpus
from sempa.embedding.build import embed_corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.embedding.row_file import RowFile
from sempa.errors import InputError, StorageError
from sempa.models.pair import ModelPair
from sempa.models.processes import Processes

ROOT = Path(__file__).parents[2]
TEXTS = (*(f"Sentence {i} {'word ' * (i % 7)}".strip() for i in range(20)), "None", "Größe, 漢字", "a\x1fb")
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
OPTIONS = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


def _index(texts: tuple[str, ...] = TEXTS) -> SentenceIndex:
    return SentenceIndex(Corpus(texts, tuple({} for _ in texts)))


def _table(folder: Path, variant: str) -> tuple[list[int], list[str], np.ndarray]:
    table = pq.read_table(folder / variant)
    return table["id"].to_pylist(), table["text"].to_pylist(), np.array(table["vector"].to_pylist(), np.float32)


@pytest.mark.timeout(300)
def test_two_processes_make_the_index_of_one(
    tuned_pair: ModelPair, model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in TEXTS), encoding="utf-8")
    script = tmp_path / "index.py"
    script.write_text(
        "import sys, functools, pathlib\nimport sempa.cli, sempa.embedding.index as index\n"
        f"index.index_folder = functools.partial(index.index_folder, root=pathlib.Path({str(tmp_path)!r}))\n"
        "sys.exit(sempa.cli.main())\n",
        encoding="utf-8",
    )
    model = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"]
    asked = ["index", "mine", "--texts", str(tmp_path / "texts.jsonl"), "--parquet", str(tmp_path / "vectors"), *model]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*LAUNCH, *OPTIONS, str(script), *asked], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count(f"{len(TEXTS)} texts, embedded with base and sempa.") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["mine", "vectors"]
    made, alone, encoder = SentenceIndex.load(tmp_path / "mine"), _index(), Encoder(tuned_pair)
    embed_corpus(alone, encoder)
    assert made.corpus == alone.corpus
    assert made.recipes == alone.recipes
    for variant in encoder.variants:
        rows = encoder.encode(TEXTS, variant)
        recipe = encoder.recipe(variant)
        files = sorted(path.name for path in (tmp_path / "vectors" / variant).iterdir())
        assert files == ["000000000000.parquet"]
        ids, texts, vectors = _table(tmp_path / "vectors", variant)
        assert ids == list(range(len(TEXTS)))
        assert tuple(texts) == TEXTS
        np.testing.assert_allclose(vectors, rows, atol=1e-5)
        said = pq.read_schema(tmp_path / "vectors" / variant / files[0]).metadata[b"sempa"]
        assert json.loads(said) == asdict(recipe)
        for one, other in zip(made.search(recipe, rows, 5), alone.search(recipe, rows, 5), strict=True):
            assert [hit.id for hit in one] == [hit.id for hit in other]
            np.testing.assert_allclose([hit.cosine for hit in one], [hit.cosine for hit in other], atol=1e-5)


def test_a_process_without_a_part_takes_the_other_s(tuned_pair: ModelPair, tmp_path: Path) -> None:
    encoder = Encoder(tuned_pair)

    class Alone(Processes):
        """Stand in for the first of two processes, with the other's rows already there."""

        def from_first(self, compute: Callable[[], float], *, together: bool) -> float:
            return compute()

        def gather(self, rows: Any, items: int) -> Any:
            assert (len(rows), items) == (0, 1)
            return torch.from_numpy(encoder.encode(TEXTS[:1], "base"))

    index = _index(TEXTS[:1])
    embed_corpus(index, encoder, processes=Alone(0, 2), partial=tmp_path)
    assert len(index.recipes) == 2


class _Broken(Exception):
    pass


def test_a_reading_goes_on_where_it_broke_off(
    tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sempa.embedding.build.BLOCK", 5)
    encoder, read = Encoder(tuned_pair), []
    encode = encoder.encode

    def breaking(texts: list[str], variant: str, **options: Any) -> Any:
        if len(read) == 3:
            raise _Broken
        read.append((variant, len(texts)))
        return encode(texts, variant, **options)

    monkeypatch.setattr(encoder, "encode", breaking)
    with pytest.raises(_Broken):
        embed_corpus(_index(), encoder, partial=tmp_path / "kept", parquet=tmp_path / "vectors")
    assert read == [("base", 5)] * 3
    (part,) = (tmp_path / "kept").iterdir()
    with part.open("ab") as stream:
        stream.write(b"torn")  # as after a crash in the middle of a block
    read.clear()
    read.extend([("", 0)] * 4)  # no further interruptions
    told: list[tuple[int, int]] = []
    index = _index()
    embed_corpus(index, encoder, lambda *at: told.append(at), partial=tmp_path / "kept", parquet=tmp_path / "vectors")
    assert read[4:] == [("base", 5), ("base", 3), *[("sempa", 5)] * 4, ("sempa", 3)]
    assert told[0] == (15, 46)
    assert (23, 46) in told  # the next variant
    assert told[-1] == (46, 46)
    assert told == sorted(told)
    monkeypatch.undo()
    for variant in encoder.variants:
        rows = encode(TEXTS, variant)
        ids, texts, vectors = _table(tmp_path / "vectors", variant)
        assert ids == list(range(len(TEXTS)))
        assert tuple(texts) == TEXTS
        np.testing.assert_allclose(vectors, rows, atol=1e-5)
        np.testing.assert_allclose(index.rows(encoder.recipe(variant)), rows, atol=1e-5)


def test_what_is_kept_is_taken_for_the_same_texts_alone(
    tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sempa.embedding.parquet.FILE_ROWS", 10)
    encoder = Encoder(tuned_pair)
    expected = {texts: encoder.encode(texts, "base") for texts in (TEXTS, TEXTS[::-1], TEXTS[:9])}
    shards = tmp_path / "vectors" / "base"
    shards.mkdir(parents=True)
    (shards / "mine.parquet").write_text("somebody's own")
    for texts, rows in expected.items():
        index = _index(texts)
        embed_corpus(index, encoder, partial=tmp_path / "kept", parquet=tmp_path / "vectors")
        starts = range(0, len(texts), 10)
        names = [f"{start:012}.parquet" for start in starts]
        assert sorted(path.name for path in shards.iterdir()) == [*names, "mine.parquet"]
        assert [t for name in names for t in pq.read_table(shards / name)["text"].to_pylist()] == list(texts)
        assert [i for name in names for i in pq.read_table(shards / name)["id"].to_pylist()] == list(range(len(texts)))
        np.testing.assert_allclose(index.rows(encoder.recipe("base")), rows, atol=1e-5)
    monkeypatch.setattr(encoder, "encode", lambda *_, **__: pytest.fail("read again"))
    embed_corpus(_index(), encoder, partial=tmp_path / "kept")


def test_a_vector_that_is_no_direction_is_not_kept(
    tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(tuned_pair)
    monkeypatch.setattr(encoder, "encode", lambda own, *_, **__: np.full((len(own), encoder.width), np.nan, np.float32))
    with pytest.raises(InputError, match="texts 0 to 22"):
        embed_corpus(_index(), encoder, partial=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_two_programs_that_read_into_one_folder_are_told(tmp_path: Path) -> None:
    one, other = RowFile(tmp_path / "rows", 2), RowFile(tmp_path / "rows", 2)
    one.append(np.ones((3, 2), np.float32))
    with pytest.raises(StorageError, match="Another program changed"):
        other.append(np.ones((1, 2), np.float32))
    assert len(RowFile(tmp_path / "rows", 2)) == 3


def test_a_disk_that_refuses_the_rows_is_said(
    tuned_pair: ModelPair, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    encoder = Encoder(tuned_pair)
    with full_disk(1_000), pytest.raises(StorageError, match="vectors could not be written"):
        embed_corpus(_index(), encoder, partial=tmp_path / "kept")
    index = _index()
    embed_corpus(index, encoder, partial=tmp_path / "kept")
    np.testing.assert_allclose(index.rows(encoder.recipe("base")), encoder.encode(TEXTS, "base"), atol=1e-5)


def test_the_documented_database_finds_what_the_index_finds(
    tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lancedb", reason="lancedb is not installed")
    index, encoder = _index(), Encoder(tuned_pair)
    monkeypatch.chdir(tmp_path)
    embed_corpus(index, encoder, partial=tmp_path / "kept", parquet=Path("vectors"))
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "lancedb" in block)
    monkeypatch.setattr(Encoder, "default", lambda: encoder)
    names: dict[str, Any] = {}
    exec(example, names)
    found = index.search(encoder.recipe("sempa"), encoder.encode(["what did we decide about the roof"]), 5)[0]
    assert [hit["text"] for hit in names["hits"]] == [hit.text for hit in found]
    np.testing.assert_allclose(
        [1 - hit["_distance"] for hit in names["hits"]], [hit.cosine for hit in found], atol=1e-5
    )


def test_a_disk_that_refuses_is_said(tuned_pair: ModelPair, tmp_path: Path) -> None:
    (tmp_path / "vectors").write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        embed_corpus(_index(), Encoder(tuned_pair), parquet=tmp_path / "vectors")
