"""One vector per sentence, bit-identical in every request; the most recently used are kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sempa.embedding.encoder import Encoder
from sempa.models.pair import ModelPair
from sempa.service.embedding_cache import EmbeddingCache
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio

MakePair = Callable[..., ModelPair]
A, B = "The hare outran the hound.", "Why?"
ASK = {
    "alone, one model": lambda studio, variant: studio.embed([A], variant)[0],
    "in a pair, one model": lambda studio, variant: studio.embed([B, A], variant)[1],
    "alone, both models": lambda studio, variant: studio.embed_each([A])[variant][0],
    "in a pair, both models": lambda studio, variant: studio.embed_each([A, B])[variant][0],
    "after the other model": lambda studio, variant: (
        [studio.embed([A], other) for other in ("base", "sempa")] and studio.embed([A], variant)[0]
    ),
    "among many": lambda studio, variant: studio.embed([*(f"Text {i}." for i in range(40)), A], variant)[-1],
}


@pytest.fixture
def pair(tuned_pair: ModelPair) -> ModelPair:
    """Return both models in bfloat16, where sums depend most on their order."""
    tuned_pair._model.to(torch.bfloat16)
    return tuned_pair


@pytest.mark.parametrize("variant", ["base", "sempa"])
@pytest.mark.parametrize("mixes", [True, False], ids=["one pass", "a pass per model"])
def test_a_vector_is_equal_to_the_bit_however_it_is_asked_for(
    pair: ModelPair, tmp_path: Path, variant: str, mixes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair._switch, "mixes", mixes)
    found = {how: ask(Studio(Encoder(pair), IndexStore(tmp_path)), variant) for how, ask in ASK.items()}
    assert [how for how, row in found.items() if not np.array_equal(row, found["alone, one model"])] == []


def test_vectors_are_computed_in_one_way_only(
    tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of another shape may round differently: no cached vector may come from one."""
    encode = Encoder.encode
    monkeypatch.setattr(
        Encoder, "encode", lambda *args, **options: np.nextafter(encode(*args, **options), np.float32(1))
    )
    found = {how: ask(Studio(Encoder(tuned_pair), IndexStore(tmp_path)), "sempa") for how, ask in ASK.items()}
    assert [how for how, row in found.items() if not np.array_equal(row, found["alone, both models"])] == []


def test_the_least_recently_used_vector_goes_first(tuned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, cache = Encoder(tuned_pair), EmbeddingCache(2 * 3)  # three sentences under two models
    for text in ("worked example", "b", "c", "worked example", "d"):
        cache.vectors(encoder, [text])
    monkeypatch.setattr(encoder, "encode_each", lambda texts: pytest.fail(f"computed again: {texts}"))
    cache.vectors(encoder, ["worked example", "c", "d"])
    with pytest.raises(pytest.fail.Exception, match="computed again: .'b'."):
        cache.vectors(encoder, ["b"])
