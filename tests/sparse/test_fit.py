"""Fitting an adapter's sparse codes: files, figures and feature names; nothing is encoded twice."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from sempa.config import FEATURES
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.sparse.coders import FeatureCoder, open_coders
from sempa.sparse.fit import fit_codes, name_features
from sempa.sparse.settings import CodingConfig

CONFIG = CodingConfig(k=4, batch_size=16, epochs=2)


@pytest.fixture
def data(tmp_path: Path, own_cache: Path) -> Path:
    """Return a file of 60 triplets; the cache is a temporary folder."""
    rows = "".join(f"The cat number {i} sat.,A cat {i}.,No cat {i} sat there.\n" for i in range(60))
    path = tmp_path / "triplets.csv"
    path.write_text("sent0,sent1,hard_neg\n" + rows, encoding="utf-8")
    return path


def test_fitted_codes_are_opened_measured_and_named(tuned_pair: ModelPair, data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    measured = fit_codes(Encoder(tuned_pair), data, CONFIG, 40, tmp_path / "codes", report=said.append)
    assert list(measured) == ["base", "sempa"]
    found = open_coders(tuned_pair, tmp_path / "codes")
    features = found[FEATURES]
    assert isinstance(features, FeatureCoder)
    encoder = Encoder(tuned_pair)
    for variant, figures in measured.items():
        assert figures["explained_variance"] < 1
        assert 0 <= figures["entailment_nearer_codes"] <= 1
        texts = [f"The cat number {i} sat." for i in range(0, 60, 2)]
        codes = features.codes(encoder.encode(texts, variant), variant, 4)
        active = int(codes[[0]].indices[0])
        assert features.describe(variant, active).texts, "an active feature has texts"
        assert features.describe(variant, active).label
    assert any("step 6 of 6" not in line and "sentences embedded" in line for line in said)
    with pytest.raises(InputError, match="exists already"):
        fit_codes(encoder, data, CONFIG, 40, tmp_path / "codes")


def test_a_second_fit_reads_nothing_again(
    tuned_pair: ModelPair, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(tuned_pair)
    first = fit_codes(encoder, data, CONFIG, None, tmp_path / "one")
    monkeypatch.setattr(Encoder, "encode", lambda *_, **__: pytest.fail("read again"))
    assert fit_codes(encoder, data, CONFIG, None, tmp_path / "two") == first


def test_words_leave_out_what_all_texts_point_at(tuned_pair: ModelPair, data: Path, tmp_path: Path) -> None:
    encoder = Encoder(tuned_pair)
    fit_codes(encoder, data, CONFIG, None, tmp_path / "codes")
    every = [text for i in range(60) for text in (f"The cat number {i} sat.", f"A cat {i}.", f"No cat {i} sat there.")]
    stored = load_file(tmp_path / "codes" / "coder.safetensors")
    for variant in ("base", "sempa"):
        mean = encoder.encode(every, variant).mean(axis=0)
        np.testing.assert_allclose(stored[f"{variant}.direction"], mean / np.linalg.norm(mean), atol=1e-5)


def test_codes_belong_to_an_adapter(tiny_pair: ModelPair, data: Path) -> None:
    with pytest.raises(InputError, match="name one with --adapter"):
        fit_codes(Encoder(tiny_pair), data, CONFIG)


def test_too_few_triplets_say_so(tuned_pair: ModelPair, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 16 triplets"):
        fit_codes(Encoder(tuned_pair), data, CONFIG, 10, tmp_path / "codes")
    assert not (tmp_path / "codes").exists()


def test_a_feature_is_named_by_words_typical_of_its_texts() -> None:
    """Feature 0 is active on cats, feature 1 on dogs, feature 2 on nothing; "the" is in every text."""
    texts = ["The cat sat.", "The cat ran.", "The dog sat.", "The dog ran."]
    texts += ["the dog RAN."]
    codes = csr_array(np.array([[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 3, 0], [0, 1, 0]], np.float32))
    cat, dog, dead = name_features(codes, texts)
    assert cat.words == ("cat", "ran")  # of what is typical, twice as much runs as sits
    assert cat.texts == ("The cat ran.", "The cat sat.")  # the strongest first
    assert dog.words == ("dog", "ran")
    assert dog.texts == ("The dog ran.", "The dog sat.")  # doubles once
    assert dead.words == dead.texts == ()
