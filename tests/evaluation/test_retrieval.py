"""Retrieval figures by hand and against brute force; a faulty folder gives a one-sentence error."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from sempa.errors import InputError
from sempa.evaluation import retrieval
from sempa.evaluation.retrieval import Rerank, RetrievalSet, ranked, read_beir, read_retrieval, retrieval_figures

ANGLES = {"a": 0, "b": 20, "c": 40, "d": 60, "e": 80, "to a": 1, "to d": 59}
"""Each text is a direction in the plane, in degrees."""


def _encode(texts: Sequence[str]) -> NDArray[np.float32]:
    turns = np.radians([ANGLES[text] for text in texts])
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def _turned(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the same, with queries a fifth of a turn astray."""
    rows = _encode(texts)
    return rows[:, ::-1].copy() if texts[0].startswith("to") else rows


DATA = RetrievalSet(
    "plane",
    {f"t{i}": text for i, text in enumerate("abcde")},
    {"q1": "to a", "q2": "to d"},
    {"q1": {"t0": 1, "t1": 1}, "q2": {"t4": 1}},
)


def test_every_measure_by_hand() -> None:
    """q1 finds a, b first: all is perfect. q2 (59 degrees) ranks d, c, e: its one relevant text is third."""
    pytest.importorskip("pytrec_eval", reason="pytrec-eval-terrier is not installed")
    figures = retrieval_figures({"base": _encode, "sempa": _turned}, DATA)
    base = {name: found["base"]["figure"] for name, found in figures.items()}
    assert base["nDCG@10"] == pytest.approx(100 * (1 + 1 / math.log2(4)) / 2, abs=1e-3)
    assert base["MRR"] == pytest.approx(100 * (1 + 1 / 3) / 2, abs=1e-3)
    assert base["recall@10"] == base["recall@100"] == 100
    assert figures["nDCG@10"]["change"]["figure"] < 0
    assert figures["nDCG@10"]["items"] == 2


def test_the_first_are_ranked_again_and_the_others_stay() -> None:
    data = RetrievalSet("one", {name: name for name in "abcd"}, {"q": "query"}, {})
    liked = {"a": 0.0, "b": 0.1, "c": 0.4}
    asked: list[tuple[str, str]] = []

    def score(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        asked.extend(pairs)
        return np.array([liked[text] for _, text in pairs], dtype=np.float32)

    before = {"q": {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}}
    after = Rerank(score, weight=0.9, top=3)(before, data)["q"]
    assert sorted(after, key=lambda name: -after[name]) == ["c", "a", "b", "d"]  # 0.7 + 0.36, 0.9, 0.89
    assert asked == [("query", "a"), ("query", "b"), ("query", "c")]
    liked["d"] = 9
    same = Rerank(score, weight=0)(before, data)
    assert sorted(same["q"], key=lambda name: -same["q"][name]) == list("abcd")


def test_ranks_are_brute_force_s(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(300, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = {f"t{i}": str(i) for i in range(250)}
    queries = {**{f"q{i}": str(i) for i in range(250, 299)}, "t7": "7"}
    data = RetrievalSet("random", texts, queries, {})
    monkeypatch.setattr(retrieval, "DEPTH", 20)
    monkeypatch.setattr(retrieval, "QUERIES_AT_ONCE", 16)
    kept, asked = (rows[[int(text) for text in given.values()]] for given in (texts, queries))
    found = ranked(kept, asked, data)
    coded = ranked(sparse.csr_array(kept), sparse.csr_array(asked), data)
    assert {name: list(hits) for name, hits in coded.items()} == {name: list(hits) for name, hits in found.items()}
    for name, text in queries.items():
        cosines = {other: float(rows[int(text)] @ rows[int(t)]) for other, t in texts.items() if other != name}
        expected = sorted(cosines, key=lambda other: -cosines[other])[:20]
        assert sorted(found[name], key=lambda other: -found[name][other]) == expected
    assert "t7" not in found["t7"]  # a text is no answer to itself


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    corpus = [{"_id": "t0", "title": "", "text": "None"}, {"_id": "t1", "title": "A", "text": "b\u2028c"}]
    corpus.append({"_id": "t2", "title": "", "text": " "})  # FiQA has such documents
    queries = [{"_id": f"q{i}", "text": f"w{i}"} for i in range(5)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in corpus) + "\n")
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)) + "\n")
    judged = [f"q{i}\tt{i % 2}\t1" for i in range(4)]
    (tmp_path / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")
    return tmp_path


def test_a_folder_is_read_and_subsampled_evenly(folder: Path) -> None:
    data = read_beir(folder)
    assert data.texts == {"t0": "None", "t1": "A b\u2028c"}
    assert list(data.queries) == ["q0", "q1", "q2", "q3"]  # q4 is judged by nobody
    assert data.relevant["q3"] == {"t1": 1}
    assert list(read_beir(folder, limit=2).queries) == ["q0", "q2"]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("corpus.jsonl", None, "corpus.jsonl does not exist"),
        ("queries.jsonl", '{"id": 1}\n', "queries.jsonl lacks the columns _id, text"),
        ("corpus.jsonl", "[1]\n", "corpus.jsonl row 1 is not an object"),
        ("corpus.jsonl", b'{"_id": "caf\xe9"}', "corpus.jsonl is not UTF-8 text .byte 12."),
        ("qrels/test.tsv", "a\tb\n1\t2\n", "lacks the columns query-id, corpus-id, score"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nz\tt0\t1\n", "judges none of the queries"),
    ],
)
def test_a_faulty_folder_is_one_sentence(folder: Path, file: str, content: str | bytes | None, says: str) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=says):
        read_beir(folder)


def _write_labelled(folder: Path, train: str, test: str) -> Path:
    (folder / "train.csv").write_text(train, encoding="utf-8")
    (folder / "test.csv").write_text(test, encoding="utf-8")
    return folder


def test_labelled_texts_are_relevant_within_their_category(tmp_path: Path) -> None:
    train = 'text,category\n"Where, please?",card\nNone\u2028 or,card\n"Two\nlines",loan\n'
    folder = _write_labelled(tmp_path, train, "text,category\na,loan\nb,card\nc,loan\nd,card\n")
    data = read_retrieval(folder)
    assert data.texts == {"train-0": "Where, please?", "train-1": "None\u2028 or", "train-2": "Two\nlines"}
    assert data.queries == {"test-0": "a", "test-1": "b", "test-2": "c", "test-3": "d"}
    assert data.relevant["test-1"] == {"train-0": 1, "train-1": 1}
    assert data.relevant["test-2"] == {"train-2": 1}
    assert read_retrieval(folder, 2).queries == {"test-0": "a", "test-2": "c"}


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        ("text,category\na,x\n", "text,category\nb,y\n", "no text of the category 'y'"),
        ("text,label\na,x\n", "text,category\nb,x\n", "train.csv lacks the columns category"),
        ("text,category\n", "text,category\nb,x\n", "train.csv contains no text"),
    ],
)
def test_faults_of_labelled_texts_are_told(tmp_path: Path, train: str, test: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_retrieval(_write_labelled(tmp_path, train, test))
