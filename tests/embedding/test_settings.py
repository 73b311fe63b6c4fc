"""Saved embedding settings against statistics computed by hand; rejected for models they were not fitted on."""

from pathlib import Path

import numpy as np
import pytest

from sempa.config import EncoderConfig
from sempa.embedding.encoder import Encoder
from sempa.embedding.settings import fit_settings, open_settings, save_settings
from sempa.errors import InputError, RecipeMismatch, StorageError
from sempa.models.pair import ModelPair

TEXTS = [f"text {i} of {i * i % 7} {'words ' * (i % 4)}" for i in range(30)]
CONFIG = EncoderConfig(template="cot", layer=-2)


def _fit(pair: ModelPair) -> Encoder:
    return fit_settings(pair, CONFIG, "centre", TEXTS, "30 texts")


def test_each_model_is_corrected_by_its_own_states_of_the_texts(tuned_pair: ModelPair) -> None:
    encoder = _fit(tuned_pair)
    for variant in ("base", "sempa"):
        states = Encoder(tuned_pair, CONFIG).states([*TEXTS, "A new one."], variant)
        rows = states[-1:] - states[:-1].mean(axis=0)
        np.testing.assert_allclose(
            encoder.encode(["A new one."], variant), rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-5
        )


def test_a_saved_reading_reads_the_same(tuned_pair: ModelPair, tmp_path: Path) -> None:
    encoder = _fit(tuned_pair)
    save_settings(encoder, tmp_path / "mine")
    opened = open_settings(tuned_pair, tmp_path / "mine")
    assert opened.recipe("sempa") == encoder.recipe("sempa")
    assert opened.postprocess
    assert opened.postprocess.about == "centre fitted on 30 texts"
    np.testing.assert_array_equal(opened.encode(TEXTS[:3], "sempa"), encoder.encode(TEXTS[:3], "sempa"))
    with pytest.raises(InputError, match="exists already"):
        save_settings(encoder, tmp_path / "mine")


def test_statistics_of_another_adapter_are_refused(
    tuned_pair: ModelPair, other_adapter: Path, model_folder: Path, tmp_path: Path
) -> None:
    save_settings(_fit(tuned_pair), tmp_path / "mine")
    other = ModelPair.open(str(model_folder), str(other_adapter), precision="float32", device="cpu")
    with pytest.raises(RecipeMismatch, match="Run `sempa fit` again"):
        open_settings(other, tmp_path / "mine")


def test_a_reading_without_statistics_fits_any_adapter(
    tuned_pair: ModelPair, other_adapter: Path, model_folder: Path, tmp_path: Path
) -> None:
    save_settings(Encoder(tuned_pair, CONFIG), tmp_path / "mine")
    other = ModelPair.open(str(model_folder), str(other_adapter), precision="float32", device="cpu")
    opened = open_settings(other, tmp_path / "mine")
    assert (opened.config.template, opened.config.layer) == ("cot", -2)
    assert opened.recipe("sempa").adapter == other.recipe("sempa", CONFIG).adapter


def test_a_folder_without_its_statistics_is_refused(tuned_pair: ModelPair, tmp_path: Path) -> None:
    save_settings(_fit(tuned_pair), tmp_path / "mine")
    (tmp_path / "mine" / "postprocess.safetensors").unlink()
    with pytest.raises(StorageError, match="missing"):
        open_settings(tuned_pair, tmp_path / "mine")
    with pytest.raises(StorageError, match=r"has no sempa\.json"):
        open_settings(tuned_pair, tmp_path)
