"""Training objectives: loss terms, each with its own forward and backward pass over a step, and their sum."""

from collections.abc import Hashable, Sequence

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
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds, RowBatch
from sempa.training.examples import Example
from sempa.training.policy import REFERENCE, PolicyModel, PolicyPass, as_policy
from sempa.training.regularisation import KLPass

HELD_TOKENS = 8192


def held_tokens(config: TrainConfig, reader: RowReader) -> int:
    """Return the number of sentence tokens per step whose activations are kept for backward.

    Sentences beyond it are encoded a second time. The token cap of a forward pass limits this number too.
    """
    return config.token_cap or max(HELD_TOKENS, reader.token_cap)


class PreferencePass(PolicyPass):
    """Preference loss over one step's pairs."""

    def __init__(self, model: PolicyModel, pairs: Sequence[PairIds], config: TrainConfig) -> None:
        super().__init__(model, pairs, config, logits=True, rows=config.batch_size)

    def backward(self, pairs: Sequence[PairIds]) -> dict[str, float]:
        """Add the gradients of this process's part of the mean loss over `pairs` and return the metrics.

        Metrics are means over all pairs before the update: `preference/loss`; `rewards/*` in beta x nats; `logps/*` in
        nats; `rewards/accuracies` in 0..1, the share of completely correct rankings; and, with `rpo_alpha`,
        `chosen/loss`, the best response's negative log-likelihood in nats per token.
        """
        total = len(pairs)
        batches, count = self._batches(self._processes.part(pairs), pairs[0])
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

            found = self.reader.each(learn, items, in_turn=self._model.in_turn)
            for number, results in enumerate(found):
                if number < count:
                    parts.append(tuple(x.cpu() for x in results[:4]))
                    policy.add(results[4:])
        losses, rewards, logps, chosen = (torch.cat(column) for column in zip(*parts, strict=True))
        metrics = _preference_metrics(losses, rewards, logps, total)
        if self._config.rpo_alpha:
            metrics["chosen/loss"] = chosen.double().sum().item() / total
        return self._processes.sum(metrics)


class ContrastivePass(PolicyPass):
    """Contrastive loss over one step's triplets of prompts.

    A prompt is a `PairIds` with one single-token answer: the state that predicts this token is the embedding.
    """

    def __init__(self, model: PolicyModel, triplets: Sequence[Sequence[PairIds]], config: TrainConfig) -> None:
        prompts = [prompt for triplet in triplets for prompt in triplet]
        super().__init__(model, prompts, config, logits=False, rows=3 * config.batch_size)
        self._held = held_tokens(config, self.reader)

    def backward(
        self, triplets: Sequence[Sequence[PairIds]], anchors: Sequence[Hashable], weight: float = 1.0
    ) -> dict[str, float]:
        """Add `weight` times the gradients of this process's part of the mean loss and return the metrics.

        `anchors` identifies triplets that share an anchor. The loss needs the embeddings of all sentences at once. Up
        to `held_tokens` tokens keep their activations. Beyond that, sentences are encoded once without gradients and
        again batch by batch with gradients, using the same random numbers.
        Source: Gao, Zhang et al. 2021, GradCache.
        """
        prompts = [prompt for triplet in self._processes.part(triplets) for prompt in triplet]
        batches, count = self._batches(prompts, triplets[0][0])
        tokens = sum(batch.input_ids.numel() for batch in batches[:count])
        held = not self._model.sharded and tokens <= self._held
        random_states: list[Tensor] = []
        with as_policy(self._model, self.reader) as policy:

            def states_of(batch: RowBatch) -> tuple[Tensor, ...]:
                if self._model.in_turn:
                    random_states.append(self._model.random_state)
                with torch.set_grad_enabled(held):
                    return (self.reader.read(policy.model, batch, policy.prefix),)

            found = self.reader.each(states_of, [(batch,) for batch in batches], in_turn=self._model.in_turn)
            read = [states for (states,) in found]
            rows = torch.empty(len(prompts), self._model.pair.width, device=self._model.pair.device)
            for batch, states in zip(batches[:count], read, strict=False):
                rows[list(batch.order)] = states.detach().float()
            every = self._processes.gather(rows.view(-1, 3, rows.shape[1]), len(triplets)).requires_grad_()
            loss, metrics = contrastive_loss(every, anchors, self._config.tau)
            (of_all,) = torch.autograd.grad(weight * loss, every)
            gradient = torch.cat([of_all[:0, 0], *self._processes.part(list(of_all))])

            into = [
                (gradient[list(batch.order)] if count else torch.zeros_like(states)).to(states.dtype)
                for batch, states in zip(batches, read, strict=True)
            ]

            def read_again(batch: RowBatch, into: Tensor) -> tuple[Tensor, ...]:
                if self._model.in_turn:
                    self._model.draw_from(random_states.pop(0))
                return policy.gradients(self.reader.read(policy.model, batch, policy.prefix), into)

            if held:
                kept = list(zip(read, into, strict=True))
                results = self._model.pair.workers.map(lambda item: policy.gradients(*item), kept)
            else:
                again = list(zip(batches, into, strict=True))
                results = self.reader.each(read_again, again, in_turn=self._model.in_turn)
            for number, gradients in enumerate(results):
                if number < count:
                    policy.add(gradients)
        return metrics


def contrastive_loss(rows: Tensor, anchors: Sequence[Hashable], tau: float) -> tuple[Tensor, dict[str, float]]:
    """Return the mean contrastive loss of (B, 3, D) embeddings at a temperature, and its metrics.

    `anchors` identifies triplets that share an anchor. Metrics: `contrastive/loss`; `contrastive/accuracies` in 0..1,
    the share of anchors nearest to their own positive; `cosines/*`.
    Source: Gao et al. 2021.
    """
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


class Objective:
    """Sum the loss terms of the configured objective."""

    def __init__(self, model: PolicyModel, examples: Sequence[Example], config: TrainConfig) -> None:
        self._config = config
        self._preference = PreferencePass(model, _pairs(examples), config) if config.prefers else None
        sentences = [e.sentences for e in examples]
        self._contrastive = ContrastivePass(model, sentences, config) if config.contrasts else None
        self._weight = config.contrastive_weight if config.prefers else 1.0
        self._kl = KLPass(model, [e.text for e in examples], config) if config.kl_weight else None

    @property
    def layouts(self) -> list[str]:
        """Return the name of each loss term's row layout."""
        return [part.reader.layout for part in (self._preference, self._contrastive, self._kl) if part]

    def backward(self, examples: Sequence[Example]) -> dict[str, float]:
        """Add the gradients of this process's part of the mean loss and return the step's metrics, `loss` first."""
        metrics: dict[str, float] = {"loss": 0.0}
        if self._preference:
            metrics |= self._preference.backward(_pairs(examples))
            metrics["loss"] += metrics["preference/loss"]
            metrics["loss"] += self._config.rpo_alpha * metrics.get("chosen/loss", 0.0)
        if self._contrastive:
            sentences, anchors = [e.sentences for e in examples], [e.anchor for e in examples]
            metrics |= self._contrastive.backward(sentences, anchors, self._weight)
            metrics["loss"] += self._weight * metrics["contrastive/loss"]
        if self._kl:
            metrics |= self._kl.backward([e.text for e in examples])
            metrics["loss"] += self._config.kl_weight * metrics["kl/loss"]
        return metrics


def _pairs(examples: Sequence[Example]) -> list[PairIds]:
    return [example.pair for example in examples if example.pair]
