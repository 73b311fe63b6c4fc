"""Train an adapter by sentence-level preference alignment; one stream of steps for every consumer."""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sempa.config import TrainConfig
from sempa.errors import InputError, SempaError
from sempa.learning.batches import PairIds, PreferenceBatch, common_head, plain_rows, shared_rows
from sempa.learning.losses import completion_logps, implicit_rewards, plackett_luce_nll
from sempa.learning.preferences import PreferencePair
from sempa.learning.runs import Checkpoint, RunFolder
from sempa.models.packing import pack
from sempa.models.prompts import padding_id, request_ids, response_ids
from sempa.models.tuning import POLICY, REFERENCE, TuningModel

CHECKPOINT_EVERY = 10
"""Steps between checkpoints that only serve resuming."""

Score = Callable[[], float]
"""Reads the model as it stands and returns a figure, higher is better."""


@dataclass(frozen=True)
class TrainStep:
    """Say what one optimiser step saw and did; `metrics` has the names every tracker plots.

    `score` is set where a checkpoint was scored after the step, `is_best` where it was the best so far.
    """

    step: int
    steps: int
    samples: int
    seconds: float
    metrics: dict[str, float]
    score: float | None = None
    is_best: bool = False

    def line(self) -> dict[str, Any]:
        """Return the step as the object written to `metrics.jsonl`."""
        line = {"step": self.step, "samples": self.samples, "seconds": round(self.seconds, 3), **self.metrics}
        return line if self.score is None else {**line, "score": self.score}


def tokenize_pairs(
    tokenizer: Any, pairs: Sequence[PreferencePair], max_length: int
) -> tuple[list[PairIds], list[PreferencePair]]:
    """Return the pairs as token ids, and those left out because prompt and response exceed `max_length` tokens."""
    kept, too_long = [], []
    for pair in pairs:
        prompt = tuple(request_ids(tokenizer, pair.request))
        responses = tuple(tuple(response_ids(tokenizer, text)) for text in (pair.chosen, pair.rejected))
        if len(prompt) + max(map(len, responses)) > max_length:
            too_long.append(pair)
        else:
            kept.append(PairIds(prompt, responses))
    return kept, too_long


class PreferencePass:
    """Compute the preference loss and its gradients over one batch of pairs, in micro-batches under a token cap."""

    def __init__(self, model: TuningModel, pairs: Sequence[PairIds], config: TrainConfig) -> None:
        self._model, self._config = model, config
        self._pad = padding_id(model.pair.tokenizer)
        self._head = common_head(pairs)
        self._reference_head: list[tuple[Tensor, Tensor]] | None = None
        self.shared = config.shared_rows and self._shared_rows_agree(pairs[0])

    @property
    def layout(self) -> str:
        """Name the row layout in use, for logs and tests."""
        if self.shared:
            return f"one row a pair behind a shared head of {len(self._head)} tokens"
        return "plain rows, one a response"

    def _shared_rows_agree(self, pair: PairIds) -> bool:
        """Measure on one pair whether this model reads the block mask and the cached head as it reads plain rows."""
        model = self._model
        batches = [self._batch([pair], [0], shared) for shared in (False, True)]
        with torch.no_grad(), model.using(REFERENCE) as base:
            try:
                plain = _logps(model.plain_logits(base, batches[0]), batches[0])
                shared = _logps(model.shared_logits(base, batches[1], model.head_states(base, self._head)), batches[1])
            except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
                return False  # the model's forward takes no such mask, positions or cache
        tokens = sum(map(len, pair.responses))
        bound = (1e-3 if model.pair.dtype == torch.float32 else 0.05) * tokens  # nats; a wrong mask is far off
        return bool((plain - shared).abs().max() < bound)

    def _batch(self, pairs: Sequence[PairIds], order: Sequence[int], shared: bool) -> PreferenceBatch:
        if shared:
            batch = shared_rows(pairs, order, len(self._head), self._pad, self._model.pair.dtype)
        else:
            batch = plain_rows(pairs, order, self._pad)
        return batch.to(self._model.pair.device)

    def _micro_batches(self, pairs: Sequence[PairIds]) -> list[PreferenceBatch]:
        if self.shared:
            lengths = [pair.row_length(len(self._head)) for pair in pairs]
        else:
            lengths = [(len(pair.prompt) + max(map(len, pair.responses))) * len(pair.responses) for pair in pairs]
        groups = pack(lengths, self._config.token_cap)
        return [self._batch([pairs[i] for i in group], group, self.shared) for group in groups]

    def backward(self, pairs: Sequence[PairIds]) -> dict[str, float]:
        """Add the gradients of the mean loss over `pairs` to the adapter's parameters and return the metrics.

        Metrics are means over the batch, computed before any update: `loss`, `rewards/*` in units of beta times
        nats, `logps/*` in nats, `rewards/accuracies` in 0..1.
        """
        batches = self._micro_batches(pairs)
        references = self._reference_logps(batches)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        model = self._model
        model.train(True)
        with model.using(POLICY) as policy:
            head = model.head_states(policy, self._head) if self.shared else []
            # The head is a leaf for the micro-batches; their gradients into it are summed and sent back once.
            leaves = [(keys.detach().requires_grad_(), values.detach().requires_grad_()) for keys, values in head]
            for batch, reference in zip(batches, references, strict=True):
                logps = self._forward(policy, batch, leaves)
                rewards = implicit_rewards(logps, reference, self._config.beta).view(batch.pairs, batch.candidates)
                losses = plackett_luce_nll(rewards)
                (losses.sum() / len(pairs)).backward()
                parts.append((losses.detach(), rewards.detach(), logps.detach().view_as(rewards)))
            if head:
                torch.autograd.backward(
                    [state for layer in head for state in layer], [state.grad for layer in leaves for state in layer]
                )
        model.train(False)
        return _metrics(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _reference_logps(self, batches: Sequence[PreferenceBatch]) -> list[Tensor]:
        model = self._model
        model.train(False)
        with torch.no_grad(), model.using(REFERENCE) as base:
            if self.shared and self._reference_head is None:
                self._reference_head = model.head_states(base, self._head)
            return [self._forward(base, batch, self._reference_head or []) for batch in batches]

    def _forward(self, model: Any, batch: PreferenceBatch, head: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        if self.shared:
            return _logps(self._model.shared_logits(model, batch, head), batch)
        return _logps(self._model.plain_logits(model, batch), batch)


def _logps(logits: Tensor, batch: PreferenceBatch) -> Tensor:
    return completion_logps(logits, batch.targets, batch.segments, batch.pairs * batch.candidates)


def _metrics(losses: Tensor, rewards: Tensor, logps: Tensor) -> dict[str, float]:
    chosen, rejected = rewards[:, 0], rewards[:, 1]
    figures = {
        "loss": losses,
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected,
        "rewards/accuracies": (chosen > rejected).float(),
        "logps/chosen": logps[:, 0],
        "logps/rejected": logps[:, 1],
    }
    return {name: value.double().mean().item() for name, value in figures.items()}


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Return the rate of a step: linear warm-up to the peak, then cosine to zero at the schedule's end."""
    warm = math.ceil(config.warmup_ratio * steps)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def sample_order(count: int, samples: int, seed: int) -> list[int]:
    """Return which pair each of `samples` draws takes: whole shuffled epochs, one after the other."""
    generator = random.Random(seed)
    order: list[int] = []
    while len(order) < samples:
        epoch = list(range(count))
        generator.shuffle(epoch)
        order += epoch
    return order[:samples]


def train(
    model: TuningModel, pairs: Sequence[PairIds], config: TrainConfig, run: RunFolder, score: Score
) -> Iterator[TrainStep]:
    """Yield one TrainStep an optimiser step, from step 0 on or from the run's last checkpoint.

    `score` is called every `evaluate_every` samples and at the end; the adapter of the best score is kept in the run
    folder. A step's metrics are those before its update, so step 0 of a fresh adapter has loss ln 2.
    Raises: InputError without pairs; SempaError, naming the rows, if the loss is not finite; StorageError if a
    checkpoint cannot be written.
    """
    if not pairs:
        raise InputError("There is no pair to train on: every row was skipped.")
    samples = config.max_samples or len(pairs)
    order = sample_order(len(pairs), samples, config.seed)
    steps = math.ceil(samples / config.batch_size)
    last = min(steps, math.ceil((config.stop_after or samples) / config.batch_size))
    state = _State(model, config, run)
    preference = PreferencePass(model, pairs, config)
    for step in range(state.step, last):
        started = time.monotonic()
        rows = order[step * config.batch_size : (step + 1) * config.batch_size]
        metrics = preference.backward([pairs[row] for row in rows])
        if not math.isfinite(metrics["loss"]):
            raise SempaError(
                f"The loss at step {step} is {metrics['loss']}: stopped. The batch's rows, counted from 0 after "
                f"skipping: {sorted(rows)}. Try a smaller --lr or --precision float32."
            )
        rate = learning_rate(step, steps, config)
        metrics |= {"learning_rate": rate, "grad_norm": state.update(rate)}
        seen = min((step + 1) * config.batch_size, samples)
        due = step + 1 == last or seen // config.evaluate_every > step * config.batch_size // config.evaluate_every
        figure, is_best = state.judge(seen, score()) if due else (None, False)
        done = TrainStep(step, last, seen, time.monotonic() - started, metrics, figure, is_best)
        run.append(done.line())
        state.step = step + 1
        if due or state.step % CHECKPOINT_EVERY == 0:
            run.save_checkpoint(state.step, state.checkpoint())
        yield done


class _State:
    """Everything that changes during a run besides the log: adapter, optimiser, random numbers, best score."""

    def __init__(self, model: TuningModel, config: TrainConfig, run: RunFolder) -> None:
        self._model, self._run = model, run
        self._parameters = model.trainable
        self._max_grad_norm = config.max_grad_norm
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(),
            lr=config.lr,
            betas=(0.9, config.adam_beta2),
            weight_decay=config.weight_decay,
        )
        self.step = 0
        self.best: dict[str, float] | None = None
        torch.manual_seed(config.seed)
        if checkpoint := run.load_checkpoint():
            self._restore(checkpoint)

    def update(self, rate: float) -> float:
        """Take one optimiser step and return the gradient norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def judge(self, samples: int, score: float) -> tuple[float, bool]:
        """Keep the adapter if its score is the best so far; return the score and whether it is."""
        is_best = self.best is None or score > self.best["score"]
        if is_best:
            self._model.save(self._run.best_folder(samples))
            self.best = {"samples": samples, "score": score}
        return score, is_best

    def checkpoint(self) -> Checkpoint:
        """Return everything training continues from."""
        tensors = {"rng": torch.get_rng_state()}
        for name, parameter in self._parameters.items():
            tensors[f"weight.{name}"] = parameter.detach()
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"{key}.{name}"] = value
        return Checkpoint(tensors, {"step": self.step, "best": self.best})

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        self.step, self.best = checkpoint.facts["step"], checkpoint.facts["best"]
        torch.set_rng_state(tensors["rng"])
        for name, parameter in self._parameters.items():
            parameter.data.copy_(tensors[f"weight.{name}"])
            self._optimizer.state[parameter] = {
                key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
