"""Post-processing against plain numpy: its effect on mean and covariance, and saving and loading."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from sempa.embedding.postprocess import Postprocess, Rows
from sempa.errors import InputError, StorageError
from sempa.files import sha256_of


def _rows(count: int, width: int, seed: int = 0) -> Rows:
    """Return rows with unequal, correlated columns and a mean far from 0."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(width, width)) * np.geomspace(1, 0.05, width)
    return (generator.normal(size=(count, width)) @ mixing.T + 3).astype(np.float32)


@pytest.fixture
def fitted() -> Postprocess:
    """Return whitening statistics of both variants."""
    return Postprocess.fit("whiten", {"base": _rows(200, 6), "sempa": _rows(200, 6, seed=1)}, "200 sentences")


def test_centring_takes_the_mean_off_and_nothing_else() -> None:
    rows = _rows(50, 4)
    centred = Postprocess.fit("centre", {"base": rows}, "test").apply(rows, "base")
    np.testing.assert_allclose(centred.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(centred, rows - rows.mean(0), atol=1e-5)


def test_whitened_covariance_is_the_identity() -> None:
    rows = _rows(500, 8)
    white = Postprocess.fit("whiten", {"base": rows}, "test").apply(rows, "base").astype(np.float64)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(8), atol=1e-3)


def test_whitened_distances_are_mahalanobis_distances() -> None:
    rows = _rows(400, 5)
    white = Postprocess.fit("whiten", {"base": rows}, "test").apply(rows, "base")
    inverse = np.linalg.inv(np.cov(rows.T.astype(np.float64), bias=True))
    difference = (rows[0] - rows[1]).astype(np.float64)
    assert np.sum((white[0] - white[1]) ** 2) == pytest.approx(difference @ inverse @ difference, rel=1e-3)


@pytest.mark.parametrize("directions", [1, 2, 3])
def test_removing_the_top_leaves_no_variance_there_and_all_elsewhere(directions: int) -> None:
    rows = _rows(300, 6)
    out = Postprocess.fit("remove-top", {"base": rows}, "test", directions).apply(rows, "base")
    centred = (rows - rows.mean(0)).astype(np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(out @ axes[:directions].T, 0, atol=1e-3)
    np.testing.assert_allclose(out @ axes[directions:].T, centred @ axes[directions:].T, atol=1e-3)


def test_statistics_are_applied_to_other_rows_as_fitted() -> None:
    fitted_on, other = _rows(300, 5), _rows(7, 5, seed=9)
    statistics = Postprocess.fit("whiten", {"base": fitted_on}, "test")
    values, vectors = np.linalg.eigh(np.cov(fitted_on.T.astype(np.float64), bias=True))
    expected = (other - fitted_on.mean(0)) @ vectors / np.sqrt(values)
    np.testing.assert_allclose(np.abs(statistics.apply(other, "base")), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_each_variant_has_its_own_statistics(fitted: Postprocess) -> None:
    rows = _rows(3, 6, seed=5)
    assert np.abs(fitted.apply(rows, "base") - fitted.apply(rows, "sempa")).max() > 0.1


def test_applied_rows_are_float32(fitted: Postprocess) -> None:
    assert fitted.apply(_rows(3, 6), "base").dtype == np.float32


def test_a_direction_without_variance_does_not_blow_up() -> None:
    rows = _rows(50, 4)
    rows[:, 2] = 1.5
    white = Postprocess.fit("whiten", {"base": rows}, "test").apply(rows, "base")
    assert np.isfinite(white).all()
    assert np.abs(white).max() < 1e3


def test_saved_statistics_are_loaded_as_they_were(fitted: Postprocess, tmp_path: Path) -> None:
    sha256 = fitted.save(tmp_path)
    assert sha256 == fitted.sha256 == sha256_of(tmp_path / "postprocess.safetensors")
    loaded = Postprocess.load(tmp_path, sha256)
    assert (loaded.kind, loaded.fitted_on, loaded.sha256) == ("whiten", "200 sentences", sha256)
    for variant in ("base", "sempa"):
        rows = _rows(9, 6, seed=4)
        assert np.array_equal(loaded.apply(rows, variant), fitted.apply(rows, variant))


def test_the_hash_depends_on_the_statistics_alone(fitted: Postprocess) -> None:
    """safetensors may reorder metadata entries at each call."""
    assert len({fitted.sha256 for _ in range(50)}) == 1
    other = Postprocess(fitted.kind, "other text", fitted.means, fitted.matrices)
    assert other.sha256 != fitted.sha256


def test_a_full_disk_is_a_storage_error(
    fitted: Postprocess, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    sha256 = fitted.save(tmp_path)
    other = Postprocess.fit("centre", {"base": _rows(9, 6)}, "test")
    with full_disk(100), pytest.raises(StorageError, match="could not be written"):
        other.save(tmp_path)
    assert Postprocess.load(tmp_path, sha256).kind == "whiten"


def test_another_file_than_the_recipe_names_is_refused(fitted: Postprocess, tmp_path: Path) -> None:
    sha256 = fitted.save(tmp_path)
    with pytest.raises(StorageError, match="missing or not the file the recipe names"):
        Postprocess.load(tmp_path, "0" * 64)
    (tmp_path / "postprocess.safetensors").write_bytes(b"other")
    with pytest.raises(StorageError, match="missing or not the file the recipe names"):
        Postprocess.load(tmp_path, sha256)


def test_missing_statistics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="postprocess.safetensors is missing"):
        Postprocess.load(tmp_path, "0" * 64)


def test_a_variant_without_statistics_is_named() -> None:
    statistics = Postprocess.fit("centre", {"base": _rows(5, 3)}, "test")
    with pytest.raises(InputError, match="cover base, but not 'sempa'"):
        statistics.apply(_rows(5, 3), "sempa")


def test_an_unknown_kind_names_the_choices() -> None:
    with pytest.raises(InputError, match="'zca' is unknown: choose centre, remove-top, whiten"):
        Postprocess.fit("zca", {"base": _rows(5, 3)}, "test")


@pytest.mark.parametrize("count", [1, 5, 6])
def test_whitening_needs_more_rows_than_columns(count: int) -> None:
    with pytest.raises(InputError, match=f"needs more than 6 sentences, got {count}"):
        Postprocess.fit("whiten", {"base": _rows(count, 6)}, "test")
