"""Learn sparse codes: reconstruct the vector, and prefer the entailment's code to the contradiction's."""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sempa.errors import InputError, SempaError
from sempa.losses import contrastive_scores, plackett_luce_nll, reconstruction_loss, same_anchors
from sempa.sparse.autoencoder import SparseCoder, largest
from sempa.sparse.settings import CodingConfig

WIDER = 4
"""The second reconstruction keeps this many times k features, so that one fit also serves other k."""
WIDER_SHARE, REVIVAL_SHARE = 1 / 8, 1 / 32
"""Weights of the wider reconstruction and of the revival of dead features. Source: Wen et al. 2025."""
DEAD_AFTER = 30
"""Inactive steps after which a feature counts as dead."""


@dataclass(frozen=True)
class CodingStep:
    """One optimiser step; `metrics` has `coding/*` and `features/dead`."""

    step: int
    steps: int
    metrics: dict[str, float]


class CodeLoss:
    """Compute the loss of codes of triplets' embeddings."""

    def __init__(self, coder: SparseCoder, config: CodingConfig) -> None:
        self._coder, self._config = coder, config

    def __call__(self, rows: Tensor, anchors: Sequence[Hashable]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of (B, 3, D) rows of anchors, entailments and contradictions, and its parts.

        L(k) + L(4k) / 8 + L_revival / 32 + `preference_weight` times the Plackett-Luce likelihood, scored by the dot
        product of unit-length codes over `tau`, that the entailment's is the first of the batch. Rows are brought
        to unit length. `anchors` are B texts or ids, equal where anchors are.
        Dead features reconstruct the residual of the others.
        Source: Wen et al. 2025 (CSR), eq. 1-5; Chen et al. 2026, section 4.4 (likelihood).
        """
        flat = torch.nn.functional.normalize(rows.flatten(0, 1), dim=-1)
        activations = self._coder.activations(flat)
        codes = largest(activations, self._config.k)
        reconstructed = self._coder.decode(codes)
        narrow = reconstruction_loss(flat, reconstructed)
        wide = reconstruction_loss(flat, self._coder.decode(largest(activations, WIDER * self._config.k)))
        firsts, positives, negatives = codes.view(*rows.shape[:2], -1).unbind(1)
        same = same_anchors(anchors).to(rows.device)
        scores = contrastive_scores(firsts, positives, negatives, self._config.tau, same)
        preference = plackett_luce_nll(scores).mean()
        loss = narrow + WIDER_SHARE * wide + self._config.preference_weight * preference
        dead = self._coder.idle >= DEAD_AFTER
        if count := int(dead.sum()):
            left = (flat - reconstructed).detach()
            kept = largest(activations.masked_fill(~dead, -torch.inf), min(count, rows.shape[2]))
            loss = loss + REVIVAL_SHARE * reconstruction_loss(left, kept @ self._coder.decoder * self._coder.scale)
        active = (codes.detach() > 0).any(dim=0)
        self._coder.idle.copy_(torch.where(active, 0, self._coder.idle + 1))
        return loss, {
            "coding/loss": float(loss.detach()),
            "coding/explained_variance": 1 - float(narrow.detach()),
            "coding/explained_variance_wider": 1 - float(wide.detach()),
            "coding/preference": float(preference.detach()),
            "coding/accuracies": float((scores.argmax(dim=1) == 0).float().mean()),
            "features/dead": float(count),
        }


def fit_coder(rows: Tensor, anchors: Sequence[str], config: CodingConfig, coder: SparseCoder) -> Iterator[CodingStep]:
    """Fit an initialised coder in place to (N, 3, D) unit rows of N triplets; `anchors` are their N texts.

    Raises: InputError for fewer triplets than one batch; SempaError if the loss is not finite.
    """
    if len(rows) < config.batch_size:
        raise InputError(f"Fitting codes needs at least {config.batch_size} triplets, but there are {len(rows)}.")
    loss_of = CodeLoss(coder, config)
    optimizer = torch.optim.Adam(coder.parameters(), lr=config.lr)
    drawn = torch.Generator().manual_seed(config.seed)
    batches = len(rows) // config.batch_size
    steps = config.epochs * batches
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(rows), generator=drawn)
        numbers = order[step % batches * config.batch_size :][: config.batch_size]
        loss, metrics = loss_of(rows[numbers], [anchors[number] for number in numbers.tolist()])
        if not math.isfinite(float(loss.detach())):
            raise SempaError(f"The loss of step {step} is not finite: try a learning rate below {config.lr}.")
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.step()
        yield CodingStep(step, steps, metrics)
