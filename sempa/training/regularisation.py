"""KL penalty towards the base model on plain text."""

import math
from collections.abc import Sequence

from torch import Tensor

from sempa.config import TrainConfig
from sempa.losses import kl_loss
from sempa.models.prompts import first_id
from sempa.models.rows import PairIds, RowBatch
from sempa.training.policy import REFERENCE, PolicyModel, PolicyPass, as_policy

ANCHORS_PER_ROW = 8
"""Sentences joined into one text, so that the penalty covers more than first words."""
EVERY = 4
"""Use every n-th anchor as text: logits over the vocabulary cost more than states."""


class KLPass(PolicyPass):
    """KL penalty: measure how far the policy has moved from the base model on plain text.

    A text is a `PairIds` with the start token as prompt and the text as its one answer, truncated to `max_length` and
    the model's context.
    """

    def __init__(self, model: PolicyModel, texts: Sequence[tuple[int, ...]], config: TrainConfig) -> None:
        self._first = first_id(model.pair.tokenizer)
        self._longest = min(config.max_length, model.pair.context_length or config.max_length) - 1
        rows = math.ceil(config.batch_size / (EVERY * ANCHORS_PER_ROW))
        super().__init__(model, self._rows(texts), config, logits=True, rows=rows)

    def backward(self, texts: Sequence[tuple[int, ...]]) -> dict[str, float]:
        """Add the gradients of this process's part of `kl_weight` times the mean loss and return the metrics.

        Metrics are means over the texts' tokens, in nats: `kl/loss`, `kl/divergence` from the base model.
        """
        rows = self._rows(texts)
        tokens = sum(len(row.responses[0]) for row in rows)
        batches, count = self._batches(self._processes.part(rows), rows[0])
        references = self.reader.over(REFERENCE, batches, lambda _, logits: (logits,))
        items = [(batch, logits) for batch, (logits,) in zip(batches, references, strict=True)]
        totals = {"kl/loss": 0.0, "kl/divergence": 0.0}
        with as_policy(self._model, self.reader) as policy:

            def learn(batch: RowBatch, reference: Tensor) -> tuple[Tensor, ...]:
                logits = self.reader.read(policy.model, batch, policy.prefix)
                found = kl_loss(logits, reference, batch.targets, self._config.kl_text_share)
                divergence, loss = (x.sum() for x in found)
                return loss.detach(), divergence.detach(), *policy.gradients(self._config.kl_weight / tokens * loss)

            results = self.reader.each(learn, items, in_turn=self._model.in_turn)
            for number, (loss, divergence, *gradients) in enumerate(results):
                if number < count:
                    policy.add(gradients)
                    totals["kl/loss"] += float(loss) / tokens
                    totals["kl/divergence"] += float(divergence) / tokens
        return self._processes.sum(totals)

    def _rows(self, texts: Sequence[tuple[int, ...]]) -> list[PairIds]:
        texts = texts[::EVERY]
        joined = [texts[i : i + ANCHORS_PER_ROW] for i in range(0, len(texts), ANCHORS_PER_ROW)]
        rows = [tuple(i for text in group for i in text)[: self._longest] for group in joined]
        return [PairIds((self._first,), (row,)) for row in rows]
