"""The two scores as forward and backward passes over one step's examples, in micro-batches under a token cap."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from sempa.config import TrainConfig
from sempa.losses import (
    completion_logps,
    contrastive_scores,
    implicit_rewards,
    mean_nll,
    plackett_luce_nll,
    same_anchors,
)
from sempa.models.prefix_cache import PrefixCache
from sempa.models.processes import Processes
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds, RowBatch
from sempa.training.policy import POLICY, REFERENCE, PolicyModel

_Out = TypeVar("_Out")

HELD_TOKENS = 8192


def held_tokens(config: TrainConfig, reader: RowReader) -> int:
    """Return up to how many tokens of a step's sentences keep their activations from scoring to backward.

    More are read a second time. Whoever caps a forward's tokens for want of memory caps these.
    """
    return config.token_cap or max(HELD_TOKENS, reader.token_cap)


@dataclass(frozen=True)
class Policy:
    """Hold the model as policy, its prompt's prefix, and every leaf that gradients flow into."""

    model: Any
    prefix: PrefixCache
    leaves: list[Tensor]

    def gradients(self, output: Tensor, into: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the gradients of a micro-batch's output; several threads may do so at once."""
        return torch.autograd.grad(output, self.leaves, into)

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add a micro-batch's gradients to the leaves; called in order, so that a run's sums repeat to the bit."""
        for leaf, gradient in zip(self.leaves, gradients, strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad.add_(gradient)


@contextmanager
def as_policy(model: PolicyModel, reader: RowReader) -> Iterator[Policy]:
    """Hold the model as policy, adapter dropout on, with this step's prefix; at the end send its gradient back.

    The prefix is a leaf for the micro-batches: their gradients into it are summed and sent back once.
    """
    model.train(True)
    try:
        with model.pair.using(POLICY) as policy:
            prefix = reader.prefix(policy)
            leaves = [(keys.detach().requires_grad_(), values.detach().requires_grad_()) for keys, values in prefix]
            yield Policy(policy, leaves, [*model.trainable.values(), *(state for layer in leaves for state in layer)])
            if prefix and leaves[0][0].grad is not None:  # no gradient where this process's part is empty
                states = [state for layer in prefix for state in layer]
                torch.autograd.backward(states, [state.grad for layer in leaves for state in layer])
    finally:
        model.train(False)


def row_reader(
    model: PolicyModel, prompts: Sequence[PairIds], config: TrainConfig, *, logits: bool, rows: int | None = None
) -> RowReader:
    """Return a reader of such prompts, `rows` of them a step, as configured."""
    return RowReader(
        model.pair,
        prompts,
        logits=logits,
        token_cap=config.token_cap,
        shared=config.shared_rows and not model.sharded,
        rows=rows,
        # A recorded pass could not draw the same dropout again when sentences are read twice.
        cuda_graphs=rows is not None and not config.lora_dropout,
    )


class Even:
    """Keep processes that share out the weights in step: all read equally many batches, some of them to no end."""

    def __init__(self, model: PolicyModel, processes: Processes) -> None:
        self._model, self._processes = model, processes

    def batches(self, own: list[RowBatch], spare: Callable[[], list[RowBatch]]) -> list[RowBatch]:
        """Return this process's batches and, where weights are shared out, spare ones up to the most that any has."""
        if not self._model.sharded:
            return own
        return [*own, *[(own or spare())[0]] * (self._processes.most(len(own)) - len(own))]

    @staticmethod
    def own(results: Iterable[_Out], count: int) -> Iterator[_Out]:
        """Yield the first `count` results and run through the rest, which are the spare batches'."""
        for number, result in enumerate(results):
            if number < count:
                yield result


class PreferencePass:
    """Compute the preference loss and its gradients over one step's pairs."""

    def __init__(
        self, model: PolicyModel, pairs: Sequence[PairIds], config: TrainConfig, processes: Processes | None = None
    ) -> None:
        self.reader = row_reader(model, pairs, config, logits=True, rows=config.batch_size)
        self._model, self._config, self._processes = model, config, processes or Processes()
        self._even = Even(model, self._processes)

    def backward(self, pairs: Sequence[PairIds]) -> dict[str, float]:
        """Add the gradients of this process's part of the mean loss over `pairs` and return the metrics.

        Metrics are means over all the pairs, computed before any update: `preference/loss`, `rewards/*` in units of
        beta times nats, `logps/*` in nats, `rewards/accuracies` (the whole ranking is right) in 0..1, and with a
        `rpo_alpha` `chosen/loss`, the negative log-likelihood of the best response in nats a token of it.
        """
        total = len(pairs)
        own = self.reader.batches(self._processes.part(pairs))
        batches = self._even.batches(own, lambda: self.reader.batches(pairs[:1]))
        references = self.reader.over(REFERENCE, batches, _logps)
        items = [(batch, logps) for batch, (logps,) in zip(batches, references, strict=True)]
        nothing = torch.empty(0, len(pairs[0].responses))
        parts: list[tuple[Tensor, ...]] = [(nothing[:, 0], nothing, nothing, nothing[:, 0])]
        with as_policy(self._model, self.reader) as policy:

            def learn(batch: RowBatch, reference: Tensor) -> tuple[Tensor, ...]:
                (logps,) = _logps(batch, self.reader.read(policy.model, batch, policy.prefix))
                rewards = implicit_rewards(logps, reference, self._config.beta).view(batch.pairs, batch.candidates)
                losses = plackett_luce_nll(rewards, depth=batch.candidates - 1)
                chosen = mean_nll(logps, batch.segments).view_as(rewards)[:, 0]
                gradients = policy.gradients((losses + self._config.rpo_alpha * chosen).sum() / total)
                return losses.detach(), rewards.detach(), logps.detach().view_as(rewards), chosen.detach(), *gradients

            learned = self._model.map(lambda item: self.reader.call(("learn", total), learn, *item), items)
            for results in self._even.own(learned, len(own)):
                parts.append(tuple(x.cpu() for x in results[:4]))
                policy.add(results[4:])
        losses, rewards, logps, chosen = (torch.cat(column) for column in zip(*parts, strict=True))
        metrics = _preference_metrics(losses, rewards, logps, total)
        if self._config.rpo_alpha:
            metrics["chosen/loss"] = chosen.double().sum().item() / total
        return self._processes.sum(metrics)


SentenceLoss = Callable[[Tensor, Sequence[Hashable]], tuple[Tensor, dict[str, float]]]
"""Returns the mean loss of (B, 3, D) states of B triplets and its metrics; the second argument identifies anchors."""


class SentencePass:
    """Compute a loss of sentences' embeddings and its gradients over one step's triplets of prompts.

    A prompt is a `PairIds` whose one answer is a single token: the state that would predict it is the embedding.
    `parameters` are the loss's own; they get their gradients too.
    """

    def __init__(
        self,
        model: PolicyModel,
        triplets: Sequence[Sequence[PairIds]],
        config: TrainConfig,
        loss: SentenceLoss,
        parameters: Sequence[Tensor] = (),
        processes: Processes | None = None,
    ) -> None:
        prompts = [prompt for triplet in triplets for prompt in triplet]
        self.reader = row_reader(model, prompts, config, logits=False, rows=3 * config.batch_size)
        self._model, self._processes = model, processes or Processes()
        self._loss, self._parameters, self._held = loss, parameters, held_tokens(config, self.reader)
        self._even = Even(model, self._processes)

    def backward(
        self, triplets: Sequence[Sequence[PairIds]], anchors: Sequence[Hashable], weight: float = 1.0
    ) -> dict[str, float]:
        """Add `weight` times the gradients of this process's part of the mean loss and return the metrics.

        `anchors` tells which triplets share one. Scores need every sentence of the step at once. Their activations are
        kept up to `held_tokens`; beyond, and in passes that are replayed, sentences are read once without gradient and
        again batch by batch with it, under the same random numbers.
        Source: Gao, Zhang et al. 2021, GradCache (reading twice).
        """
        prompts = [prompt for triplet in self._processes.part(triplets) for prompt in triplet]
        own = self.reader.batches(prompts)
        batches = self._even.batches(own, lambda: self.reader.batches(triplets[0][:1]))
        tokens = sum(batch.input_ids.numel() for batch in own)
        may_hold = not self._model.sharded and not self.reader.uses_cuda_graphs
        held = may_hold and tokens <= self._held
        with as_policy(self._model, self.reader) as policy:

            def states_of(batch: RowBatch) -> tuple[Tensor, ...]:
                with torch.set_grad_enabled(held):
                    return (self.reader.read(policy.model, batch, policy.prefix),)

            def read_once(batch: RowBatch) -> tuple[Tensor, Tensor]:
                random_state = self._model.random_state
                (states,) = self.reader.call("read", states_of, batch)
                return random_state, states

            read = list(self._model.map(read_once, batches))
            rows = torch.empty(len(prompts), self._model.pair.width, device=self._model.pair.device)
            for batch, (_, states) in self._even.own(zip(batches, read, strict=True), len(own)):
                rows[list(batch.order)] = states.detach().float()
            every = self._processes.gather(rows.view(-1, 3, rows.shape[1]), len(triplets)).requires_grad_()
            loss, metrics = self._loss(every, anchors)
            gradients_of_all, *own_gradients = torch.autograd.grad(weight * loss, [every, *self._parameters])
            for parameter, slope in zip(self._parameters, own_gradients, strict=True):
                # Every process has the loss of the whole step; their gradients are summed later.
                parameter.grad = slope / self._processes.count
            gradient = torch.cat([gradients_of_all[:0, 0], *self._processes.part(list(gradients_of_all))])

            def read_again(batch: RowBatch, into: Tensor) -> tuple[Tensor, ...]:
                return policy.gradients(self.reader.read(policy.model, batch, policy.prefix), into)

            def learn(item: tuple[RowBatch, tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
                batch, (random_state, states) = item
                into = (gradient[list(batch.order)] if own else torch.zeros_like(states)).to(states.dtype)
                if held:
                    return policy.gradients(states, into)
                self._model.draw_from(random_state)
                return self.reader.call("learn", read_again, batch, into)

            learned = self._model.map(learn, list(zip(batches, read, strict=True)))
            for gradients in self._even.own(learned, len(own)):
                policy.add(gradients)
        return metrics


def contrastive_loss(tau: float) -> SentenceLoss:
    """Return the contrastive loss at a temperature.

    Metrics: `contrastive/loss`, `contrastive/accuracies` (the own positive is nearest) in 0..1, `cosines/*`.
    Source: Gao et al. 2021.
    """

    def loss_of(rows: Tensor, anchors: Sequence[Hashable]) -> tuple[Tensor, dict[str, float]]:
        firsts, positives, negatives = rows.unbind(1)
        scores = contrastive_scores(firsts, positives, negatives, tau, same_anchors(anchors).to(rows.device))
        loss = plackett_luce_nll(scores).mean()
        cosine = torch.nn.functional.cosine_similarity
        figures = {
            "contrastive/loss": loss.detach(),
            "contrastive/accuracies": (scores.argmax(dim=1) == 0).float(),
            "cosines/positive": cosine(firsts, positives).detach(),
            "cosines/negative": cosine(firsts, negatives).detach(),
        }
        return loss, {name: value.double().mean().item() for name, value in figures.items()}

    return loss_of


def _logps(batch: RowBatch, logits: Tensor) -> tuple[Tensor]:
    return (completion_logps(logits, batch.targets, batch.segments, batch.pairs * batch.candidates),)


def _preference_metrics(losses: Tensor, rewards: Tensor, logps: Tensor, total: int) -> dict[str, float]:
    chosen, rejected = rewards[:, 0], rewards[:, -1]
    figures = {
        "preference/loss": losses,
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected,
        "rewards/accuracies": (rewards[:, :-1] > rewards[:, 1:]).all(dim=1).float(),
        "logps/chosen": logps[:, 0],
        "logps/rejected": logps[:, -1],
    }
    return {name: value.double().sum().item() / total for name, value in figures.items()}
