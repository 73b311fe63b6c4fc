"""The mathematics of preference alignment: two scores, one likelihood. torch only."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def completion_logps(logits: Tensor, targets: Tensor, segments: Tensor, count: int) -> Tensor:
    """Sum the log-probabilities of each completion's tokens.

    logits (P, V) predict targets (P,); segments (P,) int64 says which of `count` completions a token belongs to.
    Returns (count,) float32, in nats, never above 0.
    """
    logps = torch.log_softmax(logits.float(), dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return logps.new_zeros(count).index_add(0, segments, logps)


def mean_nll(logps: Tensor, segments: Tensor) -> Tensor:
    """Return each completion's negative log-likelihood per token, (count,) in nats, from its `completion_logps`.

    Source: Pang et al. 2024, eq. 1 (normalised by length).
    """
    return -logps / segments.bincount(minlength=len(logps))


def implicit_rewards(policy_logps: Tensor, reference_logps: Tensor, beta: float) -> Tensor:
    """Return beta * log(policy / reference) of each completion, the shape of the inputs.

    Source: Rafailov et al. 2023, eq. 5, without the partition term, which cancels within a prompt.
    """
    return beta * (policy_logps - reference_logps)


def kl_loss(policy: Tensor, reference: Tensor, targets: Tensor, text_share: float) -> tuple[Tensor, Tensor]:
    """Return KL(reference || policy) of each prediction, and the loss with the text mixed in; (P,) each.

    policy and reference are logits (P, V), `targets` (P,) the tokens that follow in the text. The loss is the
    cross-entropy to the mixture `(1 - text_share) * reference + text_share * text`, less the reference's entropy part,
    so that it is 0 where the policy is the reference and `text_share` is 0.
    """
    logps, known = torch.log_softmax(policy.float(), dim=-1), torch.log_softmax(reference.float(), dim=-1)
    divergence = (known.exp() * (known - logps)).sum(dim=-1)
    text = -logps.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return divergence, (1 - text_share) * divergence + text_share * text


def same_anchors(anchors: Sequence[Hashable]) -> Tensor:
    """Return (B, B) bool: which of a batch's triplets share an anchor."""
    return torch.tensor([[a == b for b in anchors] for a in anchors])


def contrastive_scores(anchors: Tensor, positives: Tensor, negatives: Tensor, tau: float, same: Tensor) -> Tensor:
    """Return each anchor's cosine over `tau` with every positive and negative of the batch, its own positive first.

    Takes three (B, D) of any length and returns (B, 2B). `same` (B, B) bool marks rows that share an anchor: another
    row's positive is no negative for the same anchor, so its score is minus infinity, as if it were not there.
    Source: Gao et al. 2021, eq. 5.
    """
    normalize = torch.nn.functional.normalize
    count = len(anchors)
    scores = normalize(anchors, dim=-1) @ normalize(torch.cat([positives, negatives]), dim=-1).T / tau
    own = torch.eye(count, dtype=torch.bool, device=anchors.device)
    hidden = torch.cat([same & ~own, torch.zeros_like(own)], dim=1)
    order = torch.arange(2 * count, device=anchors.device).repeat(count, 1)
    rows = torch.arange(count, device=anchors.device)
    order[rows, 0], order[rows, rows] = rows, torch.zeros_like(rows)  # swap the own positive with the first column
    return scores.masked_fill(hidden, -torch.inf).gather(1, order)


def reconstruction_loss(rows: Tensor, reconstructed: Tensor) -> Tensor:
    """Return the squared error of reconstructed (N, D) rows as a share of their variance: 0 is exact, 1 the mean."""
    return (rows - reconstructed).square().sum() / (rows - rows.mean(dim=0)).square().sum()


def plackett_luce_nll(scores: Tensor, depth: int = 1) -> Tensor:
    """Return the negative log-likelihood that candidates rank in the order they are given; (B, K) in, (B,) out.

    Only the first `depth` places count: depth 1 is the paper's top-1 likelihood (with K = 2 the DPO loss,
    -log sigmoid(s_1 - s_2)), depth K - 1 the full ranking. Equal scores give ln K for depth 1 and ln K! in full.
    Source: Chen et al. 2026, section 4.4.
    """
    places = [torch.logsumexp(scores[:, k:], dim=-1) - scores[:, k] for k in range(depth)]
    return torch.stack(places).sum(dim=0)
