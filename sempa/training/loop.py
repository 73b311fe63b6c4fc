"""The training loop: one stream of steps for the command line, the app, the tests and the log."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sempa.config import TrainConfig
from sempa.errors import InputError, SempaError
from sempa.training.examples import Example
from sempa.training.objectives import Objective
from sempa.training.policy import PolicyModel
from sempa.training.run_folder import Checkpoint, RunFolder

log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 10
"""Steps between checkpoints that only serve resuming."""

EXPLODED = 10.0
"""Multiple of the first step's loss at which a run stops; no objective here starts near 0."""

Score = Callable[[], float]
"""Scores the current model; higher is better."""


@dataclass(frozen=True)
class TrainStep:
    """Report one optimiser step; the names in `metrics` suit common experiment trackers.

    `score` is set if a checkpoint was scored after the step; `is_best` if that score is the best so far.
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


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Return a step's learning rate: linear warm-up to the peak, then cosine decay to zero at the schedule's end."""
    warm = math.ceil(config.warmup_ratio * steps)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def sample_order(count: int, samples: int, seed: int) -> list[int]:
    """Return the triplet number, below `count`, of each of `samples` draws: shuffled epochs in sequence."""
    generator = random.Random(seed)
    order: list[int] = []
    while len(order) < samples:
        epoch = list(range(count))
        generator.shuffle(epoch)
        order += epoch
    return order[:samples]


def train(
    model: PolicyModel,
    examples: Sequence[Example],
    config: TrainConfig,
    run: RunFolder,
    score: Score,
) -> Iterator[TrainStep]:
    """Yield one TrainStep per optimiser step, from step 0 or the run's last checkpoint.

    `score` is called every `evaluate_every` samples and at the end; the run folder keeps the best-scoring adapter.
    Metrics are computed before the update, so step 0 of a fresh adapter has loss ln 2.
    Raises: InputError without examples; SempaError, naming the rows, if loss or gradient is not finite or the loss is
    EXPLODED times the first; StorageError if a checkpoint cannot be written.
    """
    if not examples:
        raise InputError("There are no pairs to train on: every row was skipped.")
    samples = config.max_samples or len(examples)
    order = sample_order(len(examples), samples, config.seed)
    steps = math.ceil(samples / config.batch_size)
    last = min(steps, math.ceil((config.stop_after or samples) / config.batch_size))
    objective = Objective(model, examples, config)
    state = _State(model, config, run)
    log.info("Layout: %s.", "; ".join(objective.layouts))
    for step in range(state.step, last):
        started = time.monotonic()
        rows = order[step * config.batch_size : (step + 1) * config.batch_size]
        metrics = objective.backward([examples[row] for row in rows])
        state.first_loss = state.first_loss or metrics["loss"]
        metrics["grad_norm"] = state.clip()
        _require_sane(metrics, state.first_loss, step, rows)
        metrics["learning_rate"] = rate = learning_rate(step, steps, config)
        state.update(rate)
        seen = min((step + 1) * config.batch_size, samples)
        due = step + 1 == last or seen // config.evaluate_every > step * config.batch_size // config.evaluate_every
        figure, is_best = state.judge(seen, score) if due else (None, False)
        done = TrainStep(step, last, seen, time.monotonic() - started, metrics, figure, is_best)
        if model.processes.first:
            run.append(done.line())
        state.step = step + 1
        if model.processes.first and (due or state.step % CHECKPOINT_EVERY == 0):
            run.save_checkpoint(state.step, state.checkpoint())
        yield done


def _require_sane(metrics: Mapping[str, float], first_loss: float, step: int, rows: Sequence[int]) -> None:
    loss, norm = metrics["loss"], metrics["grad_norm"]
    if math.isfinite(loss) and math.isfinite(norm) and loss <= EXPLODED * first_loss:
        return
    wrong = f"gradient at step {step} is {norm}" if math.isfinite(loss) and not math.isfinite(norm) else ""
    wrong = wrong or f"loss at step {step} is {loss:.4g} (it began at {first_loss:.4g})"
    raise SempaError(
        f"The {wrong}: training stopped before this step. Rows of the batch, counted from 0 without skipped ones: "
        f"{sorted(rows)}. Try a smaller --lr or --precision float32."
    )


class _State:
    """Hold the training state that a checkpoint stores: adapter, optimiser, random state, best score."""

    def __init__(self, model: PolicyModel, config: TrainConfig, run: RunFolder) -> None:
        self._model, self._run, self._processes = model, run, model.processes
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
        self.first_loss: float | None = None
        torch.manual_seed(config.seed)
        if self._processes.first:
            checkpoint = run.load_checkpoint()  # truncates metrics.jsonl: main process only
        self._processes.wait()
        if not self._processes.first:
            checkpoint = run.load_checkpoint(cut=False)
        if checkpoint:
            self._restore(checkpoint)

    def clip(self) -> float:
        """Sum the gradients over processes, clip them, and return their norm before clipping."""
        self._processes.sum_gradients(self._parameters.values())
        return float(torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._max_grad_norm))

    def update(self, rate: float) -> None:
        """Take one optimiser step."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def judge(self, samples: int, score: Score) -> tuple[float, bool]:
        """Score the adapter and keep it if it is the best so far; return the score and whether it was kept."""
        figure = self._processes.from_first(score, together=self._model.sharded)
        is_best = self.best is None or figure > self.best["score"]
        if self._processes.first and (is_best or self._run.keep_checkpoints):
            self._model.save(self._run.scored_folder(samples))
        if is_best:
            self.best = {"samples": samples, "score": figure}
        return figure, is_best

    def checkpoint(self) -> Checkpoint:
        """Return the state that training resumes from."""
        tensors = {"rng": self._model.random_state}
        for name, parameter in self._parameters.items():
            tensors[f"weight.{name}"] = parameter.detach()
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"{key}.{name}"] = value
        return Checkpoint(tensors, {"step": self.step, "best": self.best, "first_loss": self.first_loss})

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        facts = checkpoint.facts
        self.step, self.best, self.first_loss = facts["step"], facts["best"], facts["first_loss"]
        self._model.draw_from(tensors["rng"])
        for name, parameter in self._parameters.items():
            parameter.data.copy_(tensors[f"weight.{name}"])
            self._optimizer.state[parameter] = {
                key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
