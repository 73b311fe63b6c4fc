"""A corpus embedded in two sessions gives one index, and Parquet files that other engines load."""

import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from sempa.data.corpora import Corpus
from sempa.embedding.build import embed_corpus
from sempa.embedding.distributed import add_shards, embed_shards
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.embedding.parquet import is_written, read_shards, write_shard
from sempa.embedding.row_file import RowFile
from sempa.errors import InputError, StorageError
from sempa.models.pair import ModelPair

ROOT = Path(__file__).parents[2]
TEXTS = (*(f"Sentence {i} {'word ' * (i % 7)}".strip() for i in range(20)), "None", "Größe, 漢字", "a\x1fb")


def _index(texts: tuple[str, ...] = TEXTS) -> SentenceIndex:
    return SentenceIndex(Corpus(texts, tuple({} for _ in texts)))


def _table(folder: Path, variant: str) -> tuple[list[int], list[str], np.ndarray]:
    table = pq.read_table(folder / variant)
    return table["id"].to_pylist(), table["text"].to_pylist(), np.array(table["vector"].to_pylist(), np.float32)


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


def test_shards_are_known_by_their_texts_and_recipe(tuned_pair: ModelPair, tmp_path: Path) -> None:
    encoder = Encoder(tuned_pair)
    recipe, rows = encoder.recipe("sempa"), encoder.encode(TEXTS)
    for first in (10, 0):
        write_shard(tmp_path, first, TEXTS[first : first + 10], rows[first : first + 10], recipe)
    assert is_written(tmp_path, 10, TEXTS[10:20], recipe)
    assert not is_written(tmp_path, 20, TEXTS[20:], recipe)
    assert not is_written(tmp_path, 10, TEXTS[9:19], recipe)
    assert not is_written(tmp_path, 10, TEXTS[10:20], encoder.recipe("base"))
    known, parts = read_shards(tmp_path)
    assert known == recipe
    np.testing.assert_array_equal(np.concatenate(list(parts)), rows[:20])
    index = _index(TEXTS[:20])
    add_shards(index, tmp_path, tmp_path / "rows")
    np.testing.assert_array_equal(index.rows(recipe), rows[:20])
    with pytest.raises(StorageError, match="holds no vectors"):
        read_shards(tmp_path / "none")


def test_actors_without_ray_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'ray\[data\]'"):
        embed_shards(TEXTS, tmp_path / "vectors", Encoder.default, ["base"], actors=2)
    assert list(tmp_path.iterdir()) == []


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
