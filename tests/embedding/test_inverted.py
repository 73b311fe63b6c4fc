"""Sparse search against brute force, a score's parts by hand, and saving and loading an index of codes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from sempa.config import EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding.index import SentenceIndex
from sempa.embedding.inverted import LEVELS, Codes
from sempa.errors import InputError, RecipeMismatch, StorageError

RECIPE = EncoderConfig(code="words-1a2b@4")
N, H, K = 300, 40, 4


def _dense(count: int, seed: int) -> NDArray[np.float32]:
    """Draw unit-length codes with at most K features, some with fewer."""
    drawn = np.random.default_rng(seed)
    made = np.zeros((count, H), np.float32)
    for row in made:
        features = drawn.choice(H, drawn.integers(1, K + 1), replace=False)
        row[features] = drawn.random(len(features)) + 0.05
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_nearest_are_those_of_brute_force() -> None:
    texts, queries = _dense(N, 1), _dense(20, 2)
    scores, ids = Codes.of(sparse.csr_array(texts)).nearest(sparse.csr_array(queries), 10)
    step = texts.max() / LEVELS
    expected = queries @ (np.rint(texts / step) * step).T
    for row in range(20):
        np.testing.assert_allclose(scores[row], np.sort(expected[row])[::-1][:10], atol=1e-5)
        np.testing.assert_allclose(expected[row][ids[row]], scores[row], atol=1e-5)
    assert np.abs(expected - queries @ texts.T).max() < K * step  # error bound of one byte per activation


def test_every_text_has_a_score_also_without_a_shared_unit() -> None:
    texts = sparse.csr_array(np.eye(4, H, dtype=np.float32))
    codes = Codes.of(texts)
    assert len(codes) == 4
    assert codes.cosines(texts[[2]]).tolist() == [0, 0, 1, 0]
    assert codes.nearest(texts[[2]], 9)[0].tolist() == [[1, 0, 0, 0]]


def test_a_score_is_the_sum_of_its_shared_features() -> None:
    """(0.6, 0.8, 0) and (0, 0.8, 0.6) share the second unit alone: 0.64."""
    texts = sparse.csr_array(np.array([[0.6, 0.8, 0.0], [0.0, 0.8, 0.6]], np.float32))
    codes = Codes.of(texts)
    shared = codes.shared(texts[[1]], 0)
    assert list(shared) == [1]
    assert shared[1] == pytest.approx(0.64, abs=2e-3)
    assert list(codes.shared(texts[[1]], 1)) == [1, 2]  # the larger part first
    assert sum(codes.shared(texts[[1]], 1).values()) == pytest.approx(1, abs=5e-3)


def test_pairs_of_texts_are_compared_by_place() -> None:
    texts = _dense(N, 3)
    first, second = np.arange(50), np.arange(50, 100)
    found = Codes.of(sparse.csr_array(texts)).pair_cosines(first, second)
    np.testing.assert_allclose(found, (texts[first] * texts[second]).sum(axis=1), atol=0.02)


def test_codes_are_an_index_like_vectors(tmp_path: Path) -> None:
    texts, queries = sparse.csr_array(_dense(N, 4)), sparse.csr_array(_dense(3, 5))
    index = SentenceIndex(Corpus(tuple(f"text {i}" for i in range(N)), tuple({} for _ in range(N))))
    index.add(RECIPE, texts)
    index.save(tmp_path / "own")
    again = SentenceIndex.load(tmp_path / "own")
    assert again.recipes == [RECIPE]
    assert again.search(RECIPE, queries, 5) == index.search(RECIPE, queries, 5)
    hits = index.search(RECIPE, queries, N)[0]
    assert index.ranks(RECIPE, queries[[0]], [hit.id for hit in hits]) == [hit.rank for hit in hits]
    assert index.approximation(RECIPE) is None
    other = replace(RECIPE, code="words-1a2b@8")
    with pytest.raises(RecipeMismatch, match=r"code: The index 'words-1a2b@4', the model 'words-1a2b@8'"):
        index.search(other, queries, 5)


def test_what_is_damaged_or_no_code_is_refused(tmp_path: Path) -> None:
    index = SentenceIndex(Corpus(("a", "b"), ({}, {})))
    with pytest.raises(InputError, match="no negative"):
        index.add(RECIPE, sparse.csr_array(np.array([[1.0, -1.0], [0.0, 1.0]], np.float32)))
    with pytest.raises(InputError, match="2 texts, but 3 vectors"):
        index.add(RECIPE, sparse.csr_array(np.eye(3, dtype=np.float32)))
    index.add(RECIPE, sparse.csr_array(np.eye(2, dtype=np.float32)))
    index.save(tmp_path / "own")
    (file,) = (tmp_path / "own").glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StorageError, match="damaged"):
        SentenceIndex.load(tmp_path / "own")


def test_a_code_takes_five_bytes_a_unit() -> None:
    """Four bytes per id and one per activation; column offsets do not depend on the number of texts."""
    texts = sparse.csr_array(_dense(N, 6))
    texts.indices, texts.indptr = texts.indices.astype(np.int64), texts.indptr.astype(np.int64)
    assert Codes.of(texts).size == 5 * texts.nnz + 4 * (H + 1)
