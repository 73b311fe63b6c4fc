"""Codes of hand-made models: words, features, and the parts two codes share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from sempa.config import FEATURES, WORDS
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError, StorageError
from sempa.models.pair import ModelPair
from sempa.sparse.autoencoder import SparseCoder
from sempa.sparse.coders import (
    OWN_AND_ALIGNED,
    Feature,
    FeatureCoder,
    FittedCodes,
    Rows,
    SparseEncoder,
    WordCoder,
    fit_direction,
    open_coders,
    save_coders,
)
from sempa.sparse.search import own_parts, shared_parts

MakePair = Callable[..., ModelPair]
SENTENCES = ["A cat sat.", "Two dogs ran home.", "It rains."]


def _fitted(pair: ModelPair, direction: Rows) -> FittedCodes:
    coder = SparseCoder(pair.width, 64, seed=2).requires_grad_(False)
    return FittedCodes(direction, coder, [Feature((f"word{i}",)) for i in range(64)])


def _about(adapter: str | None = None) -> dict[str, Any]:
    return {"adapter": adapter}


def test_words_are_those_of_the_unembedding_without_the_direction(make_pair: MakePair) -> None:
    """By hand: remove the direction, multiply by the unembedding, keep the four largest positive values."""
    pair = make_pair()
    rows = Encoder(pair).encode(SENTENCES, "base")
    direction = fit_direction(rows)
    codes = WordCoder(pair, {"base": _fitted(pair, direction)}).codes(rows, "base", 4)
    assert codes.shape == (3, 258)
    with pair.using("base") as model:
        unembedding = model.get_output_embeddings().weight.detach().float().numpy()
    scores = (rows - (rows @ direction)[:, None] * direction) @ unembedding.T
    for row in range(3):
        best = np.argsort(-scores[row])[:4]
        expected = np.maximum(scores[row][best], 0)
        found = codes[[row]].toarray()[0]
        np.testing.assert_allclose(found[best], expected / np.linalg.norm(expected), atol=1e-5)
        assert np.count_nonzero(found) <= 4


def test_a_query_names_its_own_words_and_those_it_points_at(make_pair: MakePair) -> None:
    """The tiny model's tokens are bytes: the query's are among its words, all words weigh the same."""
    pair = make_pair()
    rows = Encoder(pair).encode(SENTENCES, "base")
    coder = WordCoder(pair, {"base": _fitted(pair, fit_direction(rows))})
    codes = coder.queries(SENTENCES, rows, "base", 4)
    for row, sentence in enumerate(SENTENCES):
        words = set(codes[[row]].indices.tolist())
        assert set(sentence) - {" "} <= {coder.describe("base", word).label for word in words}
        assert set(coder.codes(rows, "base", OWN_AND_ALIGNED)[[row]].indices.tolist()) <= words
        assert np.allclose(codes[[row]].data, len(words) ** -0.5)


def test_features_are_the_coders_largest(make_pair: MakePair) -> None:
    pair = make_pair()
    rows = Encoder(pair).encode(SENTENCES, "base")
    coder = SparseCoder(pair.width, 64, seed=2).requires_grad_(False)
    features = [Feature((f"word{i}", "other"), (f"text {i}",)) for i in range(64)]
    found = FeatureCoder({"base": FittedCodes(fit_direction(rows), coder, features)}, "ab" * 32)
    codes = found.codes(rows, "base", 5)
    activations = coder.activations(torch.from_numpy(rows)).numpy()
    for row in range(3):
        best = np.argsort(-activations[row])[:5]
        expected = np.maximum(activations[row][best], 0)
        np.testing.assert_allclose(codes[[row]].toarray()[0][best], expected / np.linalg.norm(expected), atol=1e-5)
        assert codes[[row]].nnz <= 5
    queries = found.queries(SENTENCES, rows, "base", 5)
    assert (queries != found.codes(rows, "base", 20)).nnz == 0  # four times as many, of unit length as well
    assert found.describe("base", 7).label == "word7 · other"
    assert found.describe("base", 7).texts == ("text 7",)
    with pytest.raises(InputError, match="for base, not for 'sempa'"):
        found.codes(rows, "sempa", 5)


def test_an_encoder_of_codes_says_which_in_its_recipe(make_pair: MakePair) -> None:
    pair = make_pair()
    encoder = Encoder(pair)
    coder = WordCoder(pair, {"base": _fitted(pair, fit_direction(encoder.encode(SENTENCES, "base")))})
    sparse_encoder = SparseEncoder(encoder, coder, 8)
    codes = sparse_encoder.encode(SENTENCES)
    assert (codes != sparse_encoder.codes(encoder.encode(SENTENCES), "base")).nnz == 0
    np.testing.assert_allclose(codes.multiply(codes).sum(axis=1), 1, atol=1e-5)
    code = sparse_encoder.recipe("base").code
    assert code is not None
    assert code.startswith("words-")
    assert code.endswith("@8")
    with pytest.raises(InputError, match="k is 0"):
        SparseEncoder(encoder, coder, 0)


def test_two_codes_share_some_features_and_keep_others() -> None:
    """(0.6, 0.8, 0) and (0, 0.8, 0.6): 0.64 of the cosine is the second feature's."""
    first, second = (sparse.csr_array(np.array([row], np.float32)) for row in ([0.6, 0.8, 0], [0, 0.8, 0.6]))
    assert shared_parts(first, second) == {1: pytest.approx(0.64)}
    assert own_parts(first, second) == {0: pytest.approx(0.6)}
    assert own_parts(second, first) == {2: pytest.approx(0.6)}


def test_codes_are_kept_beside_an_adapter(make_pair: MakePair, tmp_path: Path) -> None:
    pair = make_pair()
    rows = Encoder(pair).encode(SENTENCES, "base")
    fitted = {"base": _fitted(pair, fit_direction(rows))}
    save_coders(tmp_path / "codes", fitted, _about())
    found = open_coders(pair, tmp_path / "codes")
    assert list(found) == [WORDS, FEATURES]
    assert found[WORDS].name == WordCoder(pair, fitted).name
    known = FeatureCoder(fitted, "").codes(rows, "base", 4)
    difference = found[FEATURES].codes(rows, "base", 4) - known
    assert np.abs(difference.toarray()).max() < 0.01  # kept in float16
    assert found[FEATURES].describe("base", 3).label == "word3"
    with pytest.raises(InputError, match="exists already"):
        save_coders(tmp_path / "codes", fitted, _about())


def test_codes_of_another_adapter_or_damaged_ones_are_refused(make_pair: MakePair, tmp_path: Path) -> None:
    pair = make_pair()
    save_coders(tmp_path / "codes", {"base": _fitted(pair, np.ones(pair.width, np.float32))}, _about("other"))
    with pytest.raises(StorageError, match="another adapter"):
        open_coders(pair, tmp_path / "codes")
    (tmp_path / "codes" / "codes.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="codes.json is not the file that SHA256SUMS names"):
        open_coders(pair, tmp_path / "codes")
    (tmp_path / "codes" / "SHA256SUMS").unlink()
    with pytest.raises(StorageError, match="fit them again"):
        open_coders(pair, tmp_path / "codes")
    with pytest.raises(StorageError, match="fit them again"):
        open_coders(pair, tmp_path / "none")
