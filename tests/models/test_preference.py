"""The preference score against log-probabilities computed by hand."""

import numpy as np
import pytest
import torch

from sempa.errors import InputError
from sempa.models.preference import preference
from sempa.models.prompts import request_ids, response_ids
from sempa.templates import SentenceTemplate

PAIRS = [("The roof leaks.", "Water comes through the roof."), ("He left.", "He did not leave."), ("No.", "No.")]


def _logp(pair, variant, asked, answer):
    prompt = request_ids(pair.tokenizer, SentenceTemplate.paraphrase("P1").render(asked))
    response = response_ids(pair.tokenizer, answer)
    with pair.using(variant) as model, torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0]
    rows = torch.log_softmax(logits[len(prompt) - 1 : -1], -1)
    return float(rows.gather(-1, torch.tensor(response).unsqueeze(-1)).sum()), len(response)


def test_it_is_the_mean_log_ratio_per_token_of_both_directions(tuned_pair):
    expected = []
    for first, second in PAIRS:
        ratios = []
        for asked, answer in ((first, second), (second, first)):
            (policy, tokens), (reference, _) = (_logp(tuned_pair, v, asked, answer) for v in ("sempa", "base"))
            ratios.append((policy - reference) / tokens)
        expected.append(sum(ratios) / 2)
    found = preference(tuned_pair, PAIRS)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_is_symmetric_and_does_not_depend_on_its_neighbours(tuned_pair):
    alone = [preference(tuned_pair, [(second, first)])[0] for first, second in PAIRS]
    np.testing.assert_allclose(preference(tuned_pair, PAIRS), alone, atol=1e-4)


def test_no_pairs_no_scores_and_none_too_long(tuned_pair):
    assert preference(tuned_pair, []).shape == (0,)
    with pytest.raises(InputError, match="tokens, but the model takes 1,024: shorten it"):
        preference(tuned_pair, [*PAIRS, ("Short.", "x" * 1_000)])


def test_it_needs_an_adapter(tiny_pair):
    with pytest.raises(InputError, match="adapter"):
        preference(tiny_pair, PAIRS)
