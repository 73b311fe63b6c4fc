"""Outputs are computed once, within bounds; after a full disk or a broken entry, they are only recomputed."""

import os
from pathlib import Path

import numpy as np
import pytest

from sempa.embedding.encoder import Encoder
from sempa.evaluation import result_cache
from sempa.files import cache_folder
from sempa.models.pair import ModelPair

pytestmark = pytest.mark.usefixtures("own_cache")
TEXTS = [f"The cat number {i} sat." for i in range(9)]


def test_rows_are_read_once(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(tiny_pair)
    first = result_cache.cached_rows(encoder, "base", TEXTS)
    np.testing.assert_array_equal(first, encoder.encode(TEXTS))
    monkeypatch.setattr(Encoder, "encode", lambda *_, **__: pytest.fail("read again"))
    np.testing.assert_array_equal(result_cache.cached_rows(encoder, "base", TEXTS), first)


def test_too_many_rows_are_not_kept(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(tiny_pair)
    monkeypatch.setattr(result_cache, "MAX_ENTRY", len(TEXTS) * encoder.width * 4 - 1)
    assert result_cache.cached_rows(encoder, "base", TEXTS[::-1] + TEXTS).shape == (18, encoder.width)
    assert not list(cache_folder().rglob("*.npy"))


def test_progress_is_told_every_so_often_and_at_the_end(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cache, "REPORT_EVERY", 4)

    def encode(texts: list[str], _: str, progress: object) -> np.ndarray:
        for done in (1, 5, 7, 9):
            progress(done, len(texts))  # type: ignore[operator]
        return np.zeros((len(texts), 32), np.float32)

    encoder = Encoder(tiny_pair)
    monkeypatch.setattr(encoder, "encode", encode)
    said: list[str] = []
    result_cache.cached_rows(encoder, "base", [f"{text} Told." for text in TEXTS], said.append)
    assert said == ["base: 5 of 9 sentences embedded", "base: 9 of 9 sentences embedded"]


def test_what_the_base_was_asked_before_is_not_asked_again() -> None:
    asked: list[str] = []

    def answer(model: str) -> np.ndarray:
        def compute() -> np.ndarray:
            asked.append(model)
            return np.array([1.0, 0.0])

        return result_cache.ResultCache("bfloat16").cached({"task": "sums", "items": ["1+1"], "model": model}, compute)

    for model in ("base", "one", "base", "two"):
        assert answer(model).tolist() == [1, 0]
    assert asked == ["base", "one", "two"]
    result_cache.ResultCache("float32").cached(
        {"task": "sums", "items": ["1+1"], "model": "base"}, lambda: np.array([0.0])
    )
    assert len(list((cache_folder() / "results").iterdir())) == 4


def _cached(name: str, value: float = 1.0) -> float:
    return float(result_cache.ResultCache("float32").cached({"name": name}, lambda: np.array([value]))[0])


def _entries() -> list[Path]:
    return list((cache_folder() / "results").iterdir())


def test_another_machine_computes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _cached("a", 1) == 1
    monkeypatch.setattr(result_cache, "hardware", lambda: "another machine")
    assert _cached("a", 2) == 2


def test_a_full_disk_costs_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert _cached("a") == 1
    assert "The cached result could not be written" in caplog.text
    assert "No space left on device" in caplog.text
    assert not _entries()


@pytest.mark.parametrize("content", [b"", b"no array", None], ids=["empty", "foreign", "cut short"])
def test_an_entry_that_cannot_be_read_is_computed_again(content: bytes | None) -> None:
    _cached("a", 1)
    (entry,) = _entries()
    entry.write_bytes(entry.read_bytes()[:-4] if content is None else content)
    assert _cached("a", 2) == 2
    assert _cached("a", 3) == 2


def test_the_entries_not_used_for_longest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        _cached(name)
        for entry in _entries():  # each is a second older than the next
            os.utime(entry, (entry.stat().st_mtime - 1,) * 2)
    size = _entries()[0].stat().st_size
    assert _cached("a", 2) == 1  # used now
    monkeypatch.setattr(result_cache, "MAX_TOTAL", 3 * size)
    _cached("d")
    assert len(_entries()) == 3
    assert _cached("a", 2) == 1
    assert _cached("b", 2) == 2
