"""Train an adapter by sentence-level preference alignment; one stream of steps for every consumer."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from sempa.config import CodingConfig, TrainConfig
from sempa.errors import InputError, SempaError
from sempa.models.processes import Processes
from sempa.models.prompts import padding_id, request_ids, response_ids, text_ids
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds
from sempa.sparse.autoencoder import SparseCoder, save_coder
from sempa.sparse.loss import CodeLoss
from sempa.training.objectives import PreferencePass, SentencePass, contrastive_loss, row_reader
from sempa.training.policy import REFERENCE, PolicyModel
from sempa.training.preferences import Preference
from sempa.training.regularisation import KLPass
from sempa.training.run_folder import Checkpoint, RunFolder

log = logging.getLogger(__name__)

CHECKPOINT_EVERY = 10
"""Steps between checkpoints that only serve resuming."""

BEGUN_WITH = 340
"""Triplets whose sentences' states a coder of sparse codes begins at."""
ALONG = CodingConfig(expansion_factor=4, preference_weight=0.1)
"""How codes are learned along with an adapter, in far fewer steps than a fit of their own takes."""

EXPLODED = 10.0
"""So many times the loss of the first step, a run has gone astray: no objective here starts near 0."""

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


@dataclass(frozen=True)
class Example:
    """Hold one triplet as token ids, as far as the objective needs: ranked pair, sentence prompts, anchor as text.

    `anchor` is the anchor's own text: the same for all triplets that share it.
    """

    pair: PairIds | None = None
    sentences: tuple[PairIds, ...] = ()
    text: tuple[int, ...] = ()
    anchor: str = ""

    @property
    def length(self) -> int:
        """Return the tokens of the longest sequence."""
        rows = [self.pair, *self.sentences] if self.pair else self.sentences
        return max(len(row.prompt) + max(map(len, row.responses)) for row in rows)


def tokenize(
    tokenizer: Any, preferences: Sequence[Preference], max_length: int
) -> tuple[list[Example], list[Preference]]:
    """Return the preferences as token ids, and those left out because a sequence exceeds `max_length` tokens."""
    kept, too_long = [], []
    unread = (padding_id(tokenizer),)  # a sentence is read where its next token would be predicted; none is fed
    for preference in preferences:
        pair = None
        if preference.responses:
            responses = tuple(tuple(response_ids(tokenizer, text)) for text in preference.responses)
            pair = PairIds(tuple(request_ids(tokenizer, preference.request, chat=preference.chat)), responses)
        prompts = tuple(PairIds(tuple(tokenizer(text).input_ids), (unread,)) for text in preference.sentences)
        text = tuple(text_ids(tokenizer, preference.text)) if preference.text else ()
        example = Example(pair, prompts, text, preference.anchor)
        if example.length > max_length:
            too_long.append(preference)
        else:
            kept.append(example)
    return kept, too_long


class Objective:
    """Hold the passes that a configured objective is made of."""

    def __init__(
        self, model: PolicyModel, examples: Sequence[Example], config: TrainConfig, processes: Processes | None = None
    ) -> None:
        self._config = config
        self._preference = PreferencePass(model, _pairs(examples), config, processes) if config.prefers else None
        sentences = [e.sentences for e in examples]
        self._contrastive = self._coding = None
        self.coder: SparseCoder | None = None
        if config.contrasts:
            self._contrastive = SentencePass(
                model, sentences, config, contrastive_loss(config.tau), processes=processes
            )
        if config.codes:
            self.coder = _begun_coder(model, examples, config)
            loss = CodeLoss(self.coder, replace(ALONG, seed=config.seed))
            self._coding = SentencePass(model, sentences, config, loss, [*self.coder.parameters()], processes)
        self._weight = config.contrastive_weight if config.prefers else 1.0
        self._retention = KLPass(model, [e.text for e in examples], config, processes) if config.kl_weight else None

    @property
    def readers(self) -> list[RowReader]:
        """Return the reader of every pass."""
        parts = (self._preference, self._contrastive, self._coding, self._retention)
        return [part.reader for part in parts if part]

    @property
    def layouts(self) -> list[str]:
        """Name the row layout of every pass."""
        return [reader.layout for reader in self.readers]

    def backward(self, examples: Sequence[Example]) -> dict[str, float]:
        """Add the gradients of this process's part of the mean loss and return the whole's metrics, `loss` first."""
        metrics: dict[str, float] = {"loss": 0.0}
        if self._preference:
            metrics |= self._preference.backward(_pairs(examples))
            metrics["loss"] += metrics["preference/loss"]
            metrics["loss"] += self._config.rpo_alpha * metrics.get("chosen/loss", 0.0)
        if self._contrastive:
            metrics |= self._contrastive.backward(*_sentences(examples), self._weight)
            metrics["loss"] += self._weight * metrics["contrastive/loss"]
        if self._coding:
            metrics |= self._coding.backward(*_sentences(examples), self._config.code_weight)
            metrics["loss"] += self._config.code_weight * metrics["coding/loss"]
        if self._retention:
            metrics |= self._retention.backward([e.text for e in examples])
            metrics["loss"] += self._config.kl_weight * metrics["kl/loss"]
        return metrics


def _begun_coder(model: PolicyModel, examples: Sequence[Example], config: TrainConfig) -> SparseCoder:
    """Return a coder that begins where the base model's states of the first sentences are."""
    prompts = [prompt for example in examples[:BEGUN_WITH] for prompt in example.sentences]
    reader = row_reader(model, prompts, config, logits=False)
    batches = reader.batches(prompts)
    states = torch.cat([states for (states,) in reader.over(REFERENCE, batches, lambda _, x: (x.float(),))])
    coder = SparseCoder(model.pair.width, ALONG.expansion_factor * model.pair.width, config.seed)
    coder.to(states.device).begin_at(torch.nn.functional.normalize(states, dim=-1))
    return coder


def _sentences(examples: Sequence[Example]) -> tuple[list[tuple[PairIds, ...]], list[str]]:
    return [example.sentences for example in examples], [example.anchor for example in examples]


def _pairs(examples: Sequence[Example]) -> list[PairIds]:
    return [example.pair for example in examples if example.pair]


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
    model: PolicyModel,
    examples: Sequence[Example],
    config: TrainConfig,
    run: RunFolder,
    score: Score,
    processes: Processes | None = None,
) -> Iterator[TrainStep]:
    """Yield one TrainStep an optimiser step, from step 0 on or from the run's last checkpoint.

    `score` is called every `evaluate_every` samples and at the end; the adapter of the best score is kept in the run
    folder. A step's metrics are those before its update, so step 0 of a fresh adapter has loss ln 2.
    Raises: InputError without examples; SempaError, naming the rows, if loss or gradient is not finite or the loss is
    EXPLODED times the first; StorageError if a checkpoint cannot be written.
    """
    if not examples:
        raise InputError("There is no pair to train on: every row was skipped.")
    samples = config.max_samples or len(examples)
    order = sample_order(len(examples), samples, config.seed)
    steps = math.ceil(samples / config.batch_size)
    last = min(steps, math.ceil((config.stop_after or samples) / config.batch_size))
    processes = processes or Processes()
    objective = Objective(model, examples, config, processes)
    state = _State(model, objective.coder, config, run, processes)
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
        if processes.first:
            run.append(done.line())
        state.step = step + 1
        if processes.first and (due or state.step % CHECKPOINT_EVERY == 0):
            run.save_checkpoint(state.step, state.checkpoint())
        yield done


def _require_sane(metrics: Mapping[str, float], first_loss: float, step: int, rows: Sequence[int]) -> None:
    loss, norm = metrics["loss"], metrics["grad_norm"]
    if math.isfinite(loss) and math.isfinite(norm) and loss <= EXPLODED * first_loss:
        return
    wrong = f"gradient at step {step} is {norm}" if math.isfinite(loss) and not math.isfinite(norm) else ""
    wrong = wrong or f"loss at step {step} is {loss:.4g} (it began at {first_loss:.4g})"
    raise SempaError(
        f"The {wrong}: stopped before learning from it. The batch's rows, counted from 0 after skipping: "
        f"{sorted(rows)}. Try a smaller --lr or --precision float32."
    )


class _State:
    """Everything that changes during a run besides the log: adapter, coder, optimiser, random numbers, best score."""

    def __init__(
        self, model: PolicyModel, coder: SparseCoder | None, config: TrainConfig, run: RunFolder, processes: Processes
    ) -> None:
        self._model, self._coder, self._run, self._processes = model, coder, run, processes
        self._clipped = list(model.trainable.values())
        self._parameters = dict(model.trainable)
        if coder:
            self._parameters |= {f"coder.{name}": parameter for name, parameter in coder.named_parameters()}
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
        if processes.first:
            checkpoint = run.load_checkpoint()  # cuts metrics.jsonl back, which only one process may do
        processes.wait()
        if not processes.first:
            checkpoint = run.load_checkpoint(cut=False)
        if checkpoint:
            self._restore(checkpoint)

    def clip(self) -> float:
        """Sum the gradients over processes, clip the adapter's, and return their norm before clipping."""
        self._processes.sum_gradients(self._parameters.values())
        return float(torch.nn.utils.clip_grad_norm_(self._clipped, self._max_grad_norm))

    def update(self, rate: float) -> None:
        """Take one optimiser step."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def judge(self, samples: int, score: Score) -> tuple[float, bool]:
        """Score the adapter and keep it if it is the best so far; return the score and whether it is."""
        figure = self._processes.from_first(score, together=self._model.sharded)
        is_best = self.best is None or figure > self.best["score"]
        if self._processes.first and (is_best or self._run.keep_checkpoints):
            self._model.save(self._run.scored_folder(samples))
            if self._coder:
                with self._run.writing("The sparse codes"):
                    save_coder(self._coder, self._run.scored_folder(samples))
        if is_best:
            self.best = {"samples": samples, "score": figure}
        return figure, is_best

    def checkpoint(self) -> Checkpoint:
        """Return everything training continues from."""
        tensors = {"rng": self._model.random_state}
        for name, parameter in self._parameters.items():
            tensors[f"weight.{name}"] = parameter.detach()
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"{key}.{name}"] = value
        if self._coder:
            tensors |= {f"buffer.{name}": buffer for name, buffer in self._coder.named_buffers()}
        return Checkpoint(tensors, {"step": self.step, "best": self.best, "first_loss": self.first_loss})

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        facts = checkpoint.facts
        self.step, self.best, self.first_loss = facts["step"], facts["best"], facts["first_loss"]
        self._model.draw_from(tensors["rng"])
        for name, buffer in self._coder.named_buffers() if self._coder else ():
            buffer.copy_(tensors[f"buffer.{name}"])
        for name, parameter in self._parameters.items():
            parameter.data.copy_(tensors[f"weight.{name}"])
            self._optimizer.state[parameter] = {
                key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
