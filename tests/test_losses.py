"""The formulas against closed forms and values derived by hand."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sempa.losses import (
    completion_logps,
    contrastive_scores,
    implicit_rewards,
    kl_loss,
    mean_nll,
    plackett_luce_nll,
)


def _scores(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 3


def test_two_candidates_give_the_dpo_loss() -> None:
    scores = _scores(50, 2)
    expected = -F.logsigmoid(scores[:, 0] - scores[:, 1])
    torch.testing.assert_close(plackett_luce_nll(scores), expected)


def test_two_candidates_by_hand() -> None:
    """Rewards 1 and 0: ln(1 + e^-1) = 0.313262; the other way round 1.313262."""
    loss = plackett_luce_nll(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert loss.tolist() == pytest.approx([0.3132617, 1.3132617])


@pytest.mark.parametrize("candidates", [2, 3, 5])
def test_equal_scores_give_ln_k_for_the_first_place(candidates: int) -> None:
    loss = plackett_luce_nll(torch.full((1, candidates), 7.0))
    assert loss.item() == pytest.approx(math.log(candidates))


@pytest.mark.parametrize("candidates", [2, 3, 5])
def test_equal_scores_give_ln_k_factorial_for_the_full_ranking(candidates: int) -> None:
    loss = plackett_luce_nll(torch.full((1, candidates), -2.0), depth=candidates - 1)
    assert loss.item() == pytest.approx(math.log(math.factorial(candidates)), rel=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_probabilities_of_all_rankings_sum_to_one(depth: int) -> None:
    """Over the orderings of the first `depth` of four places."""
    scores = _scores(4)
    total = 0.0
    for first in itertools.permutations(range(4), depth):
        order = [*first, *(i for i in range(4) if i not in first)]
        total += math.exp(-plackett_luce_nll(scores[order].unsqueeze(0), depth).item())
    assert total == pytest.approx(1.0)


def test_ranking_is_the_product_of_its_places() -> None:
    """P(a > b > c) = e^a / (e^a + e^b + e^c) * e^b / (e^b + e^c), for scores ln 3, ln 2, ln 1: 3/6 * 2/3 = 1/3."""
    scores = torch.log(torch.tensor([[3.0, 2.0, 1.0]]))
    assert plackett_luce_nll(scores, depth=2).item() == pytest.approx(math.log(3))


def test_great_scores_do_not_overflow() -> None:
    loss = plackett_luce_nll(torch.tensor([[1e4, -1e4], [-1e4, 1e4]]))
    assert loss.tolist() == [0.0, 2e4]


def test_rewards_are_beta_times_the_log_ratio() -> None:
    rewards = implicit_rewards(torch.tensor([-3.0, -5.0]), torch.tensor([-4.0, -2.0]), beta=0.1)
    assert rewards.tolist() == pytest.approx([0.1, -0.3])


def test_completion_logps_by_hand() -> None:
    """Logits ln(1, 2, 5) give p = 1/8, 2/8, 5/8; completion 0 holds targets 2 and 0, completion 2 target 1."""
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0]] * 3))
    logps = completion_logps(logits, torch.tensor([2, 0, 1]), torch.tensor([0, 0, 2]), count=3)
    assert logps.tolist() == pytest.approx([math.log(5 / 64), 0.0, math.log(2 / 8)])
    assert logps.dtype == torch.float32


def test_likelihood_a_token_by_hand() -> None:
    """Completions of three tokens and one."""
    found = mean_nll(torch.tensor([-6.0, -2.5]), torch.tensor([0, 0, 1, 0]))
    assert found.tolist() == [2.0, 2.5]


def test_completion_logps_ignore_a_shift_of_the_logits() -> None:
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    targets, segments = torch.tensor([1, 2, 3, 4]), torch.tensor([0, 1, 0, 1])
    torch.testing.assert_close(
        completion_logps(logits + 100, targets, segments, 2),
        completion_logps(logits, targets, segments, 2),
        atol=1e-4,
        rtol=1e-4,
    )


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits = torch.randn(400, 50, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = torch.zeros(400, dtype=torch.int64)
    expected = torch.log_softmax(logits.double(), -1)[:, 0].sum().item()
    logps = completion_logps(logits, targets, torch.zeros(400, dtype=torch.int64), 1)
    assert logps.item() == pytest.approx(expected, rel=1e-5)


def test_contrastive_scores_by_hand() -> None:
    """Unit axes: anchors x and y, positives x and y, negatives -x and x; tau 0.5, lengths do not matter."""
    x, y = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 3.0])
    distinct = torch.eye(2, dtype=torch.bool)
    anchors, positives, negatives = torch.stack([x, y]), torch.stack([5 * x, y]), torch.stack([-x, x])
    scores = contrastive_scores(anchors, positives, negatives, 0.5, distinct)
    assert scores.tolist() == [[2, 0, -2, 2], [2, 0, 0, 0]]
    expected = [math.log(1 + math.exp(-2) + math.exp(-4) + 1), math.log(1 + 3 * math.exp(-2))]
    assert plackett_luce_nll(scores).tolist() == pytest.approx(expected)


def test_another_row_s_positive_is_no_negative_for_the_same_anchor() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    scores = contrastive_scores(rows, rows, rows, 1.0, same)
    assert [sum(math.isinf(score) for score in row) for row in scores.tolist()] == [1, 1, 0]
    assert scores[:, 0].tolist() == [1, 1, 1]
    assert plackett_luce_nll(scores).isfinite().all()


def test_kept_text_by_hand() -> None:
    """Base halves (1/2, 1/2), policy (1/4, 3/4): KL = ln 2 - ln(3)/2 = 0.143841; the text says token 0: ln 4."""
    policy, reference = torch.tensor([[0.0, math.log(3)]]), torch.zeros(1, 2)
    divergence, loss = kl_loss(policy, reference, torch.tensor([0]), 0.25)
    assert divergence.item() == pytest.approx(math.log(2) - math.log(3) / 2)
    assert loss.item() == pytest.approx(0.75 * divergence.item() + 0.25 * math.log(4))
    same, nothing = kl_loss(policy, policy, torch.tensor([0]), 0.0)
    assert same.item() == nothing.item() == 0
