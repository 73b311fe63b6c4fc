"""What was read is kept and not read again, unless it is too much to keep; how far a reading is, is told."""

import numpy as np
import pytest

from sempa.config import cache_folder
from sempa.embedding.encoder import Encoder
from sempa.evaluation import result_cache as outcomes
from sempa.models.pair import ModelPair

pytestmark = pytest.mark.usefixtures("own_cache")
TEXTS = [f"The cat number {i} sat." for i in range(9)]


def test_rows_are_read_once(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(tiny_pair)
    first = outcomes.read_rows(encoder, "base", TEXTS)
    np.testing.assert_array_equal(first, encoder.encode(TEXTS))
    monkeypatch.setattr(Encoder, "encode", lambda *_, **__: pytest.fail("read again"))
    np.testing.assert_array_equal(outcomes.read_rows(encoder, "base", TEXTS), first)


def test_too_many_rows_are_not_kept(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(tiny_pair)
    monkeypatch.setattr(outcomes, "KEPT", len(TEXTS) * encoder.width * 4 - 1)
    assert outcomes.read_rows(encoder, "base", TEXTS[::-1] + TEXTS).shape == (18, encoder.width)
    assert not list(cache_folder().rglob("*.npy"))


def test_progress_is_told_every_so_often_and_at_the_end(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "OFTEN", 4)

    def encode(texts: list[str], _: str, progress: object) -> np.ndarray:
        for done in (1, 5, 7, 9):
            progress(done, len(texts))  # type: ignore[operator]
        return np.zeros((len(texts), 32), np.float32)

    encoder = Encoder(tiny_pair)
    monkeypatch.setattr(encoder, "encode", encode)
    said: list[str] = []
    outcomes.read_rows(encoder, "base", [f"{text} Told." for text in TEXTS], said.append)
    assert said == ["base: 5 of 9 sentences read", "base: 9 of 9 sentences read"]


def test_what_the_base_was_asked_before_is_not_asked_again() -> None:
    asked: list[str] = []

    def answer(model: str) -> np.ndarray:
        def compute() -> np.ndarray:
            asked.append(model)
            return np.array([1.0, 0.0])

        return outcomes.cached("bfloat16", {"task": "sums", "items": ["1+1"], "model": model}, compute)

    for model in ("base", "one", "base", "two"):
        assert answer(model).tolist() == [1, 0]
    assert asked == ["base", "one", "two"]
    outcomes.cached("float32", {"task": "sums", "items": ["1+1"], "model": "base"}, lambda: np.array([0.0]))
    assert len(list((cache_folder() / "outcomes").iterdir())) == 4
