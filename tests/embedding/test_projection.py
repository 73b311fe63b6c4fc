"""Neighbours against brute force, shares by hand, and planes that keep groups together."""

import numpy as np
import pytest

from sempa.embedding.projection import clusters, neighbours, principal, shared, t_sne


def _rows(count: int = 40, width: int = 8) -> np.ndarray:
    rows = np.random.default_rng(3).normal(size=(count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_neighbours_are_those_of_brute_force() -> None:
    rows = _rows()
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2)
    assert (neighbours(rows, 5) == np.argsort(-cosines, axis=1)[:, :5]).all()


def test_no_text_is_its_own_neighbour_even_among_equal_ones() -> None:
    rows = np.repeat(_rows(2), 20, axis=0)
    near = neighbours(rows, 10)
    assert near.shape == (40, 10)
    assert not (near == np.arange(40)[:, None]).any()
    assert neighbours(_rows(3), 10).shape == (3, 2)


def test_shares_count_common_neighbours_in_any_order() -> None:
    first, second = np.array([[1, 2, 3, 4], [0, 2, 3, 4]]), np.array([[4, 9, 8, 1], [4, 3, 2, 0]])
    assert shared(first, second).tolist() == [0.5, 1.0]


def test_the_principal_plane_holds_the_largest_variance() -> None:
    rows = _rows()
    centred = rows - rows.mean(axis=0)
    largest = np.linalg.svd(centred, compute_uv=False)[:2] ** 2
    assert (principal(rows) ** 2).sum(axis=0) == pytest.approx(largest, rel=1e-4)


def test_clusters_are_the_groups_of_the_rows() -> None:
    rows = np.repeat(np.eye(3, 8, dtype=np.float32), 10, axis=0)
    numbers = clusters(rows, 3).reshape(3, 10)
    assert (numbers == numbers[:, :1]).all()
    assert len(set(numbers[:, 0].tolist())) == 3


def test_t_sne_keeps_more_neighbours_than_principal_components() -> None:
    pytest.importorskip("openTSNE")
    generator = np.random.default_rng(0)
    groups = generator.normal(size=(20, 32))  # of 11: each text's ten nearest are its group, which a plane mixes
    rows = np.repeat(groups, 11, axis=0) + generator.normal(0, 0.1, (220, 32))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    seen: list[tuple[int, int]] = []
    plane = t_sne(rows, lambda done, total: seen.append((done, total)))
    near = neighbours(rows)
    assert shared(near, neighbours(plane)).mean() > shared(near, neighbours(principal(rows))).mean()
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
