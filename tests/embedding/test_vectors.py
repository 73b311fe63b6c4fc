"""Exact search equals brute force; approximate search reaches its stated recall in a quarter of the memory."""

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from sempa.embedding.vectors import LEAST_RECALL, Approximation, Vectors
from sempa.errors import InputError

N, D = 3_000, 24


def _clustered(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return unit rows around forty centres, like sentences on forty topics."""
    drawn = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, D))
    rows = centres[drawn.integers(0, 40, count)] + 0.4 * drawn.normal(size=(count, D))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def approximate() -> Vectors:
    return Vectors.of(_clustered(N), exact_up_to=100)


def test_few_vectors_are_searched_exactly() -> None:
    rows, queries = _clustered(200), _clustered(9, seed=1)
    vectors = Vectors.of(rows)
    assert vectors.approximation is None
    cosines, ids = vectors.nearest(queries, 7)
    expected = queries @ rows.T
    np.testing.assert_array_equal(ids, np.argsort(-expected, axis=1)[:, :7])
    np.testing.assert_allclose(cosines, np.take_along_axis(expected, ids, 1), atol=1e-6)
    np.testing.assert_allclose(vectors.cosines(queries[:1]), expected[0], atol=1e-6)
    np.testing.assert_array_equal(vectors.rows(np.array([3, 1])), rows[[3, 1]])


def test_the_recall_it_states_is_what_fresh_queries_find(approximate: Vectors) -> None:
    told = approximate.approximation
    assert told
    assert told.recall >= LEAST_RECALL
    assert 1 <= told.probes < told.lists
    rows, queries = _clustered(N), _clustered(300, seed=5)
    exact = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    found = approximate.nearest(queries, 10)[1]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)])
    assert recall == pytest.approx(told.recall, abs=0.05)


def test_approximate_cosines_are_near_the_true_ones(approximate: Vectors) -> None:
    rows, queries = _clustered(N), _clustered(20, seed=6)
    cosines, ids = approximate.nearest(queries, 5)
    true = np.take_along_axis(queries @ rows.T, ids, 1)
    np.testing.assert_allclose(cosines, true, atol=0.02)
    np.testing.assert_allclose(approximate.rows(np.arange(50)), rows[:50], atol=0.02)


def test_a_byte_a_number_and_the_ids_are_all_it_holds(approximate: Vectors) -> None:
    size = len(faiss.serialize_index(approximate.engine))
    centres = approximate.approximation.lists * D * 4
    assert size < N * (D + 8) + centres + 4_000


def test_probing_every_list_is_the_last_resort() -> None:
    drawn = np.random.default_rng(3).normal(size=(600, D)).astype(np.float32)
    rows = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    told = Vectors.of(rows, exact_up_to=10).approximation
    assert told
    assert told.probes <= told.lists
    assert told.recall >= 0.9, "a byte a number costs little even where nothing clusters"


def test_what_is_not_of_unit_length_or_of_another_kind_is_refused(approximate: Vectors) -> None:
    with pytest.raises(InputError, match="unit length"):
        Vectors.of(2 * _clustered(20))
    with pytest.raises(ValueError, match="IndexFlatIP is expected"):
        Vectors(approximate.engine)
    with pytest.raises(ValueError, match="is expected"):
        Vectors(Vectors.of(_clustered(20)).engine, Approximation(4, 1, 1.0))
