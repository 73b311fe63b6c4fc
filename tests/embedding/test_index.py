"""Neighbours equal brute force, and a folder is complete, rejected, or unchanged."""

import errno
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sempa.config import RECIPE_FILE, EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding import index as index_module
from sempa.embedding.index import TEXTS, SentenceIndex, index_folder, index_names
from sempa.embedding.vectors import Vectors
from sempa.errors import InputError, RecipeMismatch, StorageError

BASE = EncoderConfig()
TUNED = EncoderConfig(adapter="a1" * 32)
N, D = 60, 16


def _rows(count: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _corpus(count: int = N) -> Corpus:
    return Corpus(tuple(f"text {i}" for i in range(count)), tuple({"topic": str(i % 7)} for i in range(count)))


@pytest.fixture
def index() -> SentenceIndex:
    made = SentenceIndex(_corpus())
    made.add(BASE, _rows(N, 1))
    made.add(TUNED, _rows(N, 2))
    return made


def _best(rows: NDArray[np.float32], query: NDArray[np.float32]) -> list[int]:
    cosines = rows.astype(np.float64) @ query.astype(np.float64)
    return sorted(range(len(rows)), key=lambda i: (-cosines[i], i))


@pytest.mark.parametrize(("recipe", "seed"), [(BASE, 1), (TUNED, 2)])
@pytest.mark.parametrize("k", [1, 5, N, N + 1, 1000])
def test_search_equals_brute_force(index: SentenceIndex, recipe: EncoderConfig, seed: int, k: int) -> None:
    rows, queries = _rows(N, seed), _rows(25, 9)  # from 20 queries, faiss uses another code path
    for query, hits in zip(queries, index.search(recipe, queries, k), strict=True):
        best = _best(rows, query)[:k]
        assert [hit.id for hit in hits] == best
        assert [hit.rank for hit in hits] == list(range(1, min(k, N) + 1))
        np.testing.assert_allclose([hit.cosine for hit in hits], (rows @ query)[best], atol=1e-6)
        assert [(hit.text, hit.tags) for hit in hits] == [(f"text {i}", {"topic": str(i % 7)}) for i in best]


def test_ranks_equal_brute_force(index: SentenceIndex) -> None:
    query = _rows(1, 9)[0]
    best = _best(_rows(N, 1), query)
    asked = [17, 0, N - 1, best[0], best[-1]]
    assert index.ranks(BASE, query[None], asked) == [best.index(i) + 1 for i in asked]


def test_equal_texts_come_in_order_of_id_whatever_k_is() -> None:
    rows = np.tile(_rows(1, 3), (12, 1))
    index = SentenceIndex(_corpus(12))
    index.add(BASE, rows)
    for k in (1, 3, 12):
        assert [hit.id for hit in index.search(BASE, rows[:1], k)[0]] == list(range(k))


def test_pair_cosines_are_those_of_pairs_of_different_texts(index: SentenceIndex) -> None:
    rows = _rows(N, 1)
    every = np.sort((rows @ rows.T)[~np.eye(N, dtype=bool)])
    drawn = index.pair_cosines(BASE)
    assert (np.diff(drawn) >= 0).all()
    nearest = np.abs(every[np.searchsorted(every, drawn).clip(1, len(every) - 1)] - drawn)
    before = np.abs(every[np.searchsorted(every, drawn).clip(1, len(every) - 1) - 1] - drawn)
    assert np.minimum(nearest, before).max() < 1e-6
    assert drawn[-1] < 0.999  # no text with itself
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(drawn, share) == pytest.approx(np.quantile(every, share), abs=0.02)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_an_input_error(index: SentenceIndex, k: int) -> None:
    with pytest.raises(InputError, match=f"k is {k}"):
        index.search(BASE, _rows(1, 9), k)


def test_vectors_of_another_length_or_number_are_refused(index: SentenceIndex) -> None:
    with pytest.raises(InputError, match="unit length"):
        index.add(BASE, _rows(N, 1) * 1.01)
    with pytest.raises(InputError, match="60 texts, but 59 vectors"):
        index.add(BASE, _rows(N - 1, 1))
    with pytest.raises(InputError, match="at least one text"):
        SentenceIndex(Corpus((), ()))


def test_adding_a_recipe_again_replaces_its_vectors(index: SentenceIndex) -> None:
    index.add(BASE, _rows(N, 5))
    assert sorted(map(str, index.recipes)) == sorted(map(str, (BASE, TUNED)))
    query = _rows(1, 9)
    assert [hit.id for hit in index.search(BASE, query, N)[0]] == _best(_rows(N, 5), query[0])


def test_another_recipe_is_refused_naming_the_field_that_differs(index: SentenceIndex) -> None:
    with pytest.raises(RecipeMismatch, match=r"layer: The index -1, the model -3") as caught:
        index.search(EncoderConfig(layer=-3), _rows(1, 9), 1)
    assert "template" not in str(caught.value)
    tuned = SentenceIndex(_corpus())
    tuned.add(TUNED, _rows(N, 2))
    with pytest.raises(RecipeMismatch, match=f"adapter: The index '{'a1' * 32}', the model '{'b2' * 32}'.*Build"):
        tuned.search(replace(TUNED, adapter="b2" * 32), _rows(1, 9), 1)


ODD = Corpus(
    ("None", "NA", "null", "nan", 'She said "no, thanks"', "two\nlines", "Größe 漢字 🦊", "a,b;c", "a\rb", "'"),
    (
        *({"topic": 'a "quoted", one', "note": "line 1\nline 2"}, {"größe": "漢字"}, {"topic": "NA"}),
        *({"topic": "a\rb"}, {"text_": "x"}, {}, {"topic": " "}, {"a,b": "c"}, {"topic": "None"}, {"0": "0"}),
    ),
)


def test_round_trip_keeps_texts_tags_vectors_and_recipes(tmp_path: Path) -> None:
    saved = SentenceIndex(ODD)
    saved.add(BASE, _rows(10, 1))
    saved.add(TUNED, _rows(10, 2))
    saved.save(tmp_path / "odd")
    opened = SentenceIndex.load(tmp_path / "odd")
    assert opened.corpus == ODD
    assert opened.recipes == [BASE, TUNED]
    query = _rows(3, 9)
    for recipe in (BASE, TUNED):
        assert opened.search(recipe, query, 10) == saved.search(recipe, query, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["odd"]
    saved.save(tmp_path / "odd")
    assert [path.name for path in tmp_path.iterdir()] == ["odd"]


def test_half_made_folder_opens_without_vectors(index: SentenceIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "a")
    for name in (RECIPE_FILE, "SHA256SUMS"):
        (tmp_path / "a" / name).unlink()
    opened = SentenceIndex.load(tmp_path / "a")
    assert (opened.corpus, opened.recipes) == (index.corpus, [])
    with pytest.raises(RecipeMismatch, match="no vectors yet"):
        opened.search(BASE, _rows(1, 9), 1)


def _damage(folder: Path, how: str) -> None:
    vectors, recipe = next(folder.glob("base-*.faiss")), folder / RECIPE_FILE
    payload = json.loads(recipe.read_text())
    content = vectors.read_bytes()
    if how == "cut":
        vectors.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        vectors.write_bytes(b"")
    elif how == "noise":
        vectors.write_bytes(np.random.default_rng(0).bytes(len(content)))
    elif how == "zeroed":
        vectors.write_bytes(content[:100] + bytes(len(content) - 100))
    elif how == "one byte":
        vectors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "other text":
        (folder / TEXTS).write_text((folder / TEXTS).read_text().replace("text 7", "text 8", 1))
    elif how == "missing":
        vectors.unlink()
    elif how == "fewer":
        SentenceIndex(_corpus(2)).save(folder.with_name("two"))
        (folder / TEXTS).write_bytes((folder.with_name("two") / TEXTS).read_bytes())
    elif how == "version":
        recipe.write_text(json.dumps({**payload, "schema_version": 99}))
    else:
        recipe.write_text({"list": "[]", "null": "null", "cut json": recipe.read_text()[:50], "keys": "{}"}[how])


@pytest.mark.parametrize(
    "how",
    [
        "cut",
        "empty",
        "noise",
        "zeroed",
        "one byte",
        "other text",
        "missing",
        "fewer",
        "version",
        "list",
        "null",
        "cut json",
        "keys",
    ],
)
def test_damaged_folder_is_a_storage_error(index: SentenceIndex, tmp_path: Path, how: str) -> None:
    index.save(tmp_path / "a")
    _damage(tmp_path / "a", how)
    with pytest.raises(StorageError) as caught:
        SentenceIndex.load(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_without_texts_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not an index"):
        SentenceIndex.load(tmp_path)


def _unchanged(folder: Path, before: SentenceIndex) -> None:
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    opened = SentenceIndex.load(folder)
    assert opened.corpus == before.corpus
    query = _rows(1, 9)
    assert opened.search(BASE, query, N) == before.search(BASE, query, N)


@pytest.mark.parametrize("left", [1, 200, 3000])
def test_full_disk_leaves_the_old_index(
    index: SentenceIndex, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]], left: int
) -> None:
    """With only the last byte missing, faiss's own writer reports nothing and leaves a damaged file."""
    index.save(tmp_path / "a")
    room = max(file.stat().st_size for file in (tmp_path / "a").glob("*.faiss")) - left
    other = SentenceIndex(_corpus())
    other.add(BASE, _rows(N, 7))
    with full_disk(room), pytest.raises(StorageError, match="File too large.*unchanged"):
        other.save(tmp_path / "a")
    _unchanged(tmp_path / "a", index)


@pytest.mark.parametrize("refuses", ["texts", "rename"])
def test_refusal_at_any_step_leaves_the_old_index(
    index: SentenceIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    index.save(tmp_path / "a")
    rename = Path.replace

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def refused(self: Path, target: Path) -> Path:
        new = target.name == "a" and "-old-" not in self.name
        return full() if new else rename(self, target)

    if refuses == "texts":
        monkeypatch.setattr(index_module, "write_corpus", full)
    else:
        monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(StorageError, match="No space left on device.*unchanged"):
        SentenceIndex(_corpus(3)).save(tmp_path / "a")
    monkeypatch.undo()
    _unchanged(tmp_path / "a", index)


@pytest.mark.parametrize("name", ["../x", "A", "", "a/b", ".", "..", "/etc", "a b", "-a", "a" * 65, "a\n", "ä"])
def test_index_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not a valid index name"):
        index_folder(name, tmp_path)


def test_index_names_lists_the_demo_first_and_nothing_hidden(tmp_path: Path) -> None:
    for name in ("zoo", "a-1_b", "demo", ".demo-half", "Upper"):
        (tmp_path / name).mkdir()
        (tmp_path / name / TEXTS).write_text("text\nx\n")
    (tmp_path / "empty").mkdir()
    assert index_names(tmp_path) == ["demo", "a-1_b", "zoo"]
    assert index_folder("zoo", tmp_path) == tmp_path / "zoo"
    assert index_names(tmp_path / "nowhere") == []


def test_a_large_index_is_approximate_says_so_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Vectors.of.__func__, "__kwdefaults__", {"exact_up_to": 100})
    monkeypatch.setattr(index_module, "RANKED", 50)
    count = 2_000
    rows, query = _rows(count, 1), _rows(1, 9)[0]
    index = SentenceIndex(_corpus(count))
    index.add(BASE, rows)
    told = index.approximation(BASE)
    assert told
    assert told.recall >= 0.9
    index.save(tmp_path / "large")
    opened = SentenceIndex.load(tmp_path / "large")
    assert opened.approximation(BASE) == told
    assert opened.search(BASE, query[np.newaxis], 10) == index.search(BASE, query[np.newaxis], 10)
    best = _best(rows, query)
    found = [hit.id for hit in opened.search(BASE, query[np.newaxis], 10)[0]]
    assert len(set(found) & set(best[:10])) >= 8
    assert opened.ranks(BASE, query[np.newaxis], [found[0], best[-1]]) == [1, None]
    assert (np.diff(opened.pair_cosines(BASE, 100)) >= 0).all()
