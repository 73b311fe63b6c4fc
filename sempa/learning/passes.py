"""The two scores as forward and backward passes over one step's examples, in micro-batches under a token cap."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sempa.config import TrainConfig
from sempa.learning.losses import completion_logps, contrastive_scores, implicit_rewards, plackett_luce_nll
from sempa.models.row_reader import Head, RowReader
from sempa.models.rows import PairIds, RowBatch
from sempa.models.tuning import POLICY, REFERENCE, TuningModel

HELD_TOKENS = 8192
"""Sentences of one step whose activations are kept from scoring to backward; more are read a second time."""


@dataclass(frozen=True)
class Policy:
    """Hold the model as policy, its prompt's head, and every leaf that gradients flow into."""

    model: Any
    head: Head
    leaves: list[Tensor]

    def gradients(self, output: Tensor, into: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the gradients of a micro-batch's output; several threads may do so at once."""
        return torch.autograd.grad(output, self.leaves, into)

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add a micro-batch's gradients to the leaves; called in order, so that a run's sums repeat to the bit."""
        for leaf, gradient in zip(self.leaves, gradients, strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad.add_(gradient)


@contextmanager
def as_policy(model: TuningModel, reader: RowReader) -> Iterator[Policy]:
    """Hold the model as policy, adapter dropout on, with this step's head; at the end send its gradient back.

    The head is a leaf for the micro-batches: their gradients into it are summed and sent back once.
    """
    model.train(True)
    try:
        with model.pair.using(POLICY) as policy:
            head = reader.head(policy)
            leaves = [(keys.detach().requires_grad_(), values.detach().requires_grad_()) for keys, values in head]
            yield Policy(policy, leaves, [*model.trainable.values(), *(state for layer in leaves for state in layer)])
            if head:
                states = [state for layer in head for state in layer]
                torch.autograd.backward(states, [state.grad for layer in leaves for state in layer])
    finally:
        model.train(False)


def _reader(model: TuningModel, prompts: Sequence[PairIds], config: TrainConfig, *, logits: bool) -> RowReader:
    return RowReader(
        model.pair,
        prompts,
        logits=logits,
        token_cap=config.token_cap,
        shared=config.shared_rows,
        workers=model.workers,
    )


class PreferencePass:
    """Compute the preference loss and its gradients over one step's pairs."""

    def __init__(self, model: TuningModel, pairs: Sequence[PairIds], config: TrainConfig) -> None:
        self.reader = _reader(model, pairs, config, logits=True)
        self._model, self._config = model, config

    def backward(self, pairs: Sequence[PairIds]) -> dict[str, float]:
        """Add the gradients of the mean loss over `pairs` to the adapter's parameters and return the metrics.

        Metrics are means over the batch, computed before any update: `preference/loss`, `rewards/*` in units of beta
        times nats, `logps/*` in nats, `rewards/accuracies` (the whole ranking is right) in 0..1.
        """
        batches = self.reader.batches(pairs)
        references = list(self.reader.over(REFERENCE, batches, _logps))
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        with as_policy(self._model, self.reader) as policy:

            def learn(item: tuple[RowBatch, Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor, Tensor]]:
                batch, reference = item
                logps = _logps(batch, self.reader.read(policy.model, batch, policy.head))
                rewards = implicit_rewards(logps, reference, self._config.beta).view(batch.pairs, batch.candidates)
                losses = plackett_luce_nll(rewards, depth=batch.candidates - 1)
                gradients = policy.gradients(losses.sum() / len(pairs))
                return gradients, (losses.detach(), rewards.detach(), logps.detach().view_as(rewards))

            for gradients, part in self._model.workers.map(learn, list(zip(batches, references, strict=True))):
                policy.add(gradients)
                parts.append(part)
        return _preference_metrics(*(torch.cat(column) for column in zip(*parts, strict=True)))


class ContrastivePass:
    """Compute the contrastive loss and its gradients over one step's triplets of sentence prompts.

    A prompt is a `PairIds` whose one answer is a single token: the state that would predict it is the embedding.
    """

    def __init__(self, model: TuningModel, triplets: Sequence[Sequence[PairIds]], config: TrainConfig) -> None:
        prompts = [prompt for triplet in triplets for prompt in triplet]
        self.reader = _reader(model, prompts, config, logits=False)
        self._model, self._config = model, config

    def backward(self, triplets: Sequence[Sequence[PairIds]], weight: float = 1.0) -> dict[str, float]:
        """Add `weight` times the gradients of the mean loss over `triplets` to the parameters and return the metrics.

        Scores need every sentence of the step at once. Up to HELD_TOKENS tokens their activations are kept; beyond,
        sentences are read once without gradient and again batch by batch with it, under the same random numbers.
        Metrics: `contrastive/loss`, `contrastive/accuracies` (the own positive is nearest) in 0..1, `cosines/*`.
        Source: Gao et al. 2021 (loss); Gao, Zhang et al. 2021, GradCache (reading twice).
        """
        prompts = [prompt for triplet in triplets for prompt in triplet]
        batches = self.reader.batches(prompts)
        held = sum(batch.input_ids.numel() for batch in batches) <= HELD_TOKENS
        with as_policy(self._model, self.reader) as policy:

            def read_once(batch: RowBatch) -> tuple[Tensor, Tensor]:
                random_state = torch.get_rng_state()
                with torch.set_grad_enabled(held):
                    return random_state, self.reader.read(policy.model, batch, policy.head)

            random_states, read = zip(*self._model.workers.map(read_once, batches), strict=True)
            order = [place for batch in batches for place in batch.order]
            rows = torch.empty(len(prompts), read[0].shape[1], device=read[0].device)
            rows[order] = torch.cat([part.detach().float() for part in read])
            loss, metrics = self._loss(rows.requires_grad_(), triplets)
            (gradient,) = torch.autograd.grad(weight * loss, rows)

            def learn(item: tuple[RowBatch, Tensor, Tensor]) -> tuple[Tensor, ...]:
                batch, random_state, states = item
                if not held:
                    torch.set_rng_state(random_state)
                    states = self.reader.read(policy.model, batch, policy.head)
                return policy.gradients(states, gradient[list(batch.order)].to(states.dtype))

            for gradients in self._model.workers.map(learn, list(zip(batches, random_states, read, strict=True))):
                policy.add(gradients)
        return metrics

    def _loss(self, rows: Tensor, triplets: Sequence[Sequence[PairIds]]) -> tuple[Tensor, dict[str, float]]:
        anchors, positives, negatives = rows.view(len(triplets), 3, -1).unbind(1)
        texts = [triplet[0].prompt for triplet in triplets]
        same = torch.tensor([[a == b for b in texts] for a in texts], device=rows.device)
        scores = contrastive_scores(anchors, positives, negatives, self._config.tau, same)
        loss = plackett_luce_nll(scores).mean()
        cosine = torch.nn.functional.cosine_similarity
        figures = {
            "contrastive/loss": loss.detach(),
            "contrastive/accuracies": (scores.argmax(dim=1) == 0).float(),
            "cosines/positive": cosine(anchors, positives).detach(),
            "cosines/negative": cosine(anchors, negatives).detach(),
        }
        return loss, _means(figures)


def _logps(batch: RowBatch, logits: Tensor) -> Tensor:
    return completion_logps(logits, batch.targets, batch.segments, batch.pairs * batch.candidates)


def _preference_metrics(losses: Tensor, rewards: Tensor, logps: Tensor) -> dict[str, float]:
    chosen, rejected = rewards[:, 0], rewards[:, -1]
    return _means(
        {
            "preference/loss": losses,
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": (rewards[:, :-1] > rewards[:, 1:]).all(dim=1).float(),
            "logps/chosen": logps[:, 0],
            "logps/rejected": logps[:, -1],
        }
    )


def _means(figures: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.double().mean().item() for name, value in figures.items()}
