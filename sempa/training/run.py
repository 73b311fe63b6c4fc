"""One training run for train.py, from its data to a finished adapter folder."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sempa.config import EncoderConfig, Recipe, TrainConfig
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError, SempaError
from sempa.files import sha256_of
from sempa.machine import hardware, versions
from sempa.models.adapters import WEIGHTS_FILE, adapter_folder, lora_settings, seal_adapter
from sempa.models.load import Report
from sempa.models.pair import BASE, SEMPA, ModelPair
from sempa.models.precision import choose_training_precision
from sempa.models.processes import Processes
from sempa.models.prompts import PLAIN_END
from sempa.models.source import log
from sempa.templates import SLOT, SentenceTemplate
from sempa.training.card import write_facts
from sempa.training.examples import tokenize
from sempa.training.inputs import TrainRequest, development_pairs, run_triplets, source_name, source_sha256
from sempa.training.loop import TrainStep, train
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences
from sempa.training.run_folder import RunFolder
from sempa.training.scoring import checkpoint_score

SAMPLE_SETTINGS = TrainConfig(batch_size=16, lr=3e-4, max_samples=1200, evaluate_every=240)
"""Settings for the sample triplets: three short passes, a few minutes on two cores."""
MAX_PASSES = 3
"""Maximum passes over the data unless the user sets a number: more overfit a small file."""
MIN_SCORES = 5
"""Minimum scores per run, if it has as many steps, unless the user sets `evaluate_every`."""
HOW_COMPUTED = ("token_cap",)
"""Settings that change only how a run is computed; a resumed run may change them."""


@dataclass(frozen=True)
class Outcome:
    """Report a finished run: its scores and the adapter's folder."""

    folder: Path
    score_name: str
    before: float
    after: float


class TrainRun:
    """Prepare a run, yield its steps, and finish with a complete adapter folder."""

    def __init__(self, request: TrainRequest, report: Report = log.info) -> None:
        """Read the data, load the model and score the base; write nothing before that succeeds.

        Raises: any SempaError of the parts.
        """
        self.processes = Processes.join(request.device)
        report = report if self.processes.first else log.debug
        if request.neutrals and request.config.objective != "listwise":
            raise InputError("Only --objective listwise uses neutral sentences: leave out --neutrals.")
        triplets, held, read = run_triplets(request)
        report(f"{request.data or 'Sample triplets'}: {read}.")
        dev = [development_pairs(source) for source in request.dev]
        precision = choose_training_precision(request.precision, request.device)
        pair = ModelPair.open(
            request.base, precision=precision, device=request.device, sharded=self.processes.shard, report=report
        )
        self.request = request = replace(request, config=_for_chat_format(request, pair.tokenizer, report))
        longest = min(request.config.max_length, pair.context_length or request.config.max_length)
        self._examples, too_long = tokenize(pair.tokenizer, preferences(triplets, request.config), longest)
        if too_long:
            read.leave_out(len(too_long), f"longer than {longest} tokens")
            report(f"Left out {len(too_long)} triplets longer than {longest} tokens.")
        if not self._examples:
            raise InputError(f"Every triplet is longer than {request.config.max_length} tokens: raise --max-length.")
        self.config = _fitted(request, len(self._examples), report)
        report("Settings: " + ", ".join(f"{name} {value}" for name, value in asdict(self.config).items()))
        if idle := sorted(request.given & self.config.idle):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
            report(
                f"These flags have no effect with --objective {self.config.objective} and the other settings: {flags}."
            )
        self._data = {
            "name": source_name(request.data),
            "summary": str(read) + (f"; {len(held)} held out" if held else ""),
            "sha256": source_sha256(request.data),
        }
        self._started_from = _started_from(request)
        facts = {
            "base_model": request.base,
            "base_revision": pair.info.revision,
            "started_from": self._started_from,
            "precision": str(pair.dtype) + (" from four bits" if pair.info.precision.four_bit else ""),
            "device": pair.device.type,
            "data": self._data,
            "neutrals": request.neutrals and sha256_of(request.neutrals),
            "dev": {source: source_sha256(source) for source in request.dev},
            "keep_checkpoints": request.keep_checkpoints,
            "config": {name: value for name, value in asdict(self.config).items() if name not in HOW_COMPUTED},
        }
        self._run = RunFolder.open(
            request.output, facts, resume=request.resume, keep_checkpoints=request.keep_checkpoints
        )
        self.processes.wait()  # all processes have checked before the first writes
        self._model = PolicyModel(pair, self.config, self.processes, request.adapter)
        read_as = EncoderConfig()  # the paper's, unless training changes it
        if self.config.contrasts:
            read_as = replace(read_as, template=self.config.embedding_template)
        self._encoder = Encoder(self._model.pair, read_as)
        self.score_name, self._score = checkpoint_score(self._encoder, dev, held)
        report(f"Choosing the checkpoint by {self.score_name}.")
        self.before = self.processes.from_first(lambda: self._score(BASE), together=self._model.sharded)
        report(f"Base model: {self.before:.2f}.")
        if self.processes.first:
            self._run.begin(facts)
            self._run.keep_base_score(self.score_name, self.before)
        self.processes.wait()

    def steps(self) -> Iterator[TrainStep]:
        """Yield every step; the run folder always holds the best adapter so far.

        Raises: SempaError, naming --token-cap, if the GPU's memory runs out; what `train` raises.
        """
        try:
            yield from train(self._model, self._examples, self.config, self._run, lambda: self._score(SEMPA))
        except torch.OutOfMemoryError as error:
            raise SempaError(
                f"The GPU is out of memory: continue with --resume --output {self.request.output} and a --token-cap "
                f"below {self.config.token_cap or self._model.pair.forward_tokens}, on a GPU that others leave alone."
            ) from error

    def finish(self) -> Outcome:
        """Write recipe, facts and card beside the best adapter and rename the folder to its final name.

        Call it in the main process only.
        """
        lines = self._run.lines()
        scores = [{"samples": 0, "score": self.before}]
        scores += [{"samples": line["samples"], "score": line["score"]} for line in lines if "score" in line]
        best = max(scores[1:], key=lambda point: point["score"])
        config = replace(self.config, max_samples=self.config.max_samples or len(self._examples))
        facts = {
            "base_model": self.request.base,
            "started_from": self._started_from,
            "data": self._data,
            "dev": [Path(source).name for source in self.request.dev],
            "score_name": self.score_name,
            "scores": scores,
            "best": best,
            "samples": lines[-1]["samples"],
            "seconds": sum(line["seconds"] for line in lines),
            "processes": self.processes.count,
            "precision": str(self._model.pair.info.precision),
            "hardware": hardware(),
            "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
            "license": self.request.license,
            "attribution": self.request.attribution,
            "date": time.strftime("%Y-%m-%d"),
        }
        folder = self._run.scored_folder(int(best["samples"]))
        adapter = sha256_of(folder / WEIGHTS_FILE)
        with self._run.writing("The facts of the run"):
            Recipe(replace(self._encoder.recipe(BASE), adapter=adapter), config).save(folder)
            write_facts(folder, facts, config)
            seal_adapter(folder)
        return Outcome(self._run.finish(folder), self.score_name, self.before, best["score"])


def _started_from(request: TrainRequest) -> dict[str, str] | None:
    """Return name and hash of the adapter whose training continues."""
    if request.adapter is None:
        return None
    folder = adapter_folder(request.adapter)
    return {"name": folder.name, "sha256": sha256_of(folder / WEIGHTS_FILE)}


def _for_chat_format(request: TrainRequest, tokenizer: Any, report: Report) -> TrainConfig:
    """Return the settings, with plain prompts for a base without a chat format: the text that the app sends it."""
    config = request.config
    if tokenizer.chat_template or config.prompt_format == "plain" or not config.prefers:
        return config
    report(f"{request.base} has no chat format: prompts are plain text with a line break, as in the app.")
    template = SentenceTemplate.paraphrase(config.template).render(SLOT)
    return replace(config, prompt_format="plain", template=template + PLAIN_END)


def _fitted(request: TrainRequest, count: int, report: Report) -> TrainConfig:
    """Return settings adjusted to the adapter to continue and to `count` triplets.

    There are at most MAX_PASSES passes and at least MIN_SCORES scores.
    """
    config = request.config
    if request.adapter:
        lora = lora_settings(request.adapter)
        if other := [name for name, value in lora.items() if name in request.given and getattr(config, name) != value]:
            raise InputError(f"{request.adapter} has {other[0]} {lora[other[0]]}: leave out the flag or train afresh.")
        config = replace(config, **lora)
    seen, most = config.stop_after or config.max_samples or count, MAX_PASSES * count
    if seen > most and not request.given & {"max_samples", "stop_after"}:
        report(
            f"Training on {most:,} triplets, {MAX_PASSES} passes over the {count:,}: the recipe's {seen:,} would be "
            f"{seen / count:.0f} passes. --max-samples sets another number."
        )
        seen, config = most, replace(config, max_samples=most, stop_after=None)
    if "evaluate_every" in request.given:
        return config
    return replace(config, evaluate_every=min(config.evaluate_every, math.ceil(seen / MIN_SCORES)))
