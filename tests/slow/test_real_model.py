"""The default model with its adapter: correct under two threads, and in batches close to single requests."""

import threading
from itertools import cycle, islice

import numpy as np
import pytest
import torch

from sempa.data.corpora import read_corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import INDEX_ROOT, TEXTS
from sempa.models.generate import Sampling, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SENTENCES = ["The dog sleeps.", "Nobody came.", "It rains in Bergen.", "He sold the boat."]
ROUNDS = 500


def test_two_threads_get_exactly_what_one_gets(encoder: Encoder) -> None:
    expected = {
        variant: {text: encoder.encode([text], variant)[0] for text in SENTENCES} for variant in encoder.variants
    }
    wrong: list[tuple[str, str]] = []
    rounds = dict.fromkeys(encoder.variants, 0)

    def ask(variant: str) -> None:
        for text in islice(cycle(SENTENCES), ROUNDS):
            rounds[variant] += 1
            if not np.array_equal(encoder.encode([text], variant)[0], expected[variant][text]):
                wrong.append((variant, text))

    threads = [threading.Thread(target=ask, args=(variant,)) for variant in encoder.variants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert rounds == {"base": ROUNDS, "sempa": ROUNDS}
    for text in SENTENCES:
        assert not np.allclose(expected["base"][text], expected["sempa"][text], atol=1e-3)


def test_cosines_of_a_batch_stay_near_those_read_alone(encoder: Encoder) -> None:
    """A batch rounds differently: cosines may move by 0.02 in bfloat16 and 1e-4 in float32."""
    bound = 1e-4 if encoder.pair.dtype == torch.float32 else 0.02
    texts = read_corpus(INDEX_ROOT / "demo" / TEXTS).texts[::9]
    for variant in encoder.variants:
        together, alone = encoder.encode(texts, variant), encoder.encode_each(texts)[variant]
        assert np.abs(together @ together.T - alone @ alone.T).max() < bound
        assert (1 - (together * alone).sum(axis=1)).max() < bound


def test_both_models_keep_to_the_matter(encoder: Encoder) -> None:
    """The base knows the answer; the aligned model must at least answer on topic."""
    sampling = Sampling(n=1, temperature=0, max_new_tokens=24)
    *_, texts = write(encoder.pair, "What is the capital of France?", sampling)
    assert "Paris" in texts["base"][0]
    assert any(name in texts["sempa"][0] for name in ("Paris", "France"))
