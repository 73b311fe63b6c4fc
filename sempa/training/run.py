"""One training run: triplets, model, score and run folder joined; what train.py and the app call."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from sempa.config import DEFAULT_BASE, PLOT, RUN_FACTS, EncoderConfig, Recipe, TrainConfig
from sempa.data.scored_pairs import ScoredPairs
from sempa.data.triplets import Triplet
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError, SempaError
from sempa.evaluation.metrics import nearer_share
from sempa.evaluation.sts import sts_spearman
from sempa.files import sha256_of
from sempa.machine import hardware, versions
from sempa.models.adapters import WEIGHTS_FILE
from sempa.models.load import Report, read_tokenizer
from sempa.models.pair import BASE, SEMPA, ModelPair
from sempa.models.precision import choose_training_precision
from sempa.models.processes import Processes
from sempa.models.prompts import request_text
from sempa.models.source import locate, log
from sempa.training.card import write_card
from sempa.training.exports import export_preferences
from sempa.training.inputs import development_pairs, run_triplets, source_name, source_sha256
from sempa.training.loop import TrainStep, tokenize, train
from sempa.training.plot import plot_runs
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences
from sempa.training.run_folder import RunFolder

SAMPLE_SETTINGS = TrainConfig(batch_size=16, lr=3e-4, max_samples=1200, evaluate_every=400)
"""For the sample triplets: three short epochs, a few minutes on two cores."""
HOW_COMPUTED = ("token_cap", "shared_rows")
"""Settings that change how a run is computed and not what it learns: it may be resumed with others."""


@dataclass(frozen=True)
class TrainRequest:
    """Say what to train on what; `data` None means the sample triplets, no `dev` means held-out triplets."""

    output: Path
    config: TrainConfig
    data: str | None = None
    neutrals: Path | None = None
    dev: tuple[str, ...] = ()
    base: str = DEFAULT_BASE
    precision: str = "auto"
    device: str = "auto"
    license: str | None = None
    attribution: str | None = None
    resume: bool = False
    keep_checkpoints: bool = False


@dataclass(frozen=True)
class Outcome:
    """Say what a finished run scored and where its adapter is."""

    folder: Path
    score_name: str
    before: float
    after: float
    facts: dict[str, Any]


class TrainRun:
    """Prepare a run on construction, yield its steps, and end with a whole adapter folder."""

    def __init__(self, request: TrainRequest, report: Report = log.info) -> None:
        """Read the data, load the model, measure the base.

        Raises: any SempaError of the parts; nothing is written before everything has been read.
        """
        self.request = request
        self.processes = Processes.join(request.device)
        report = report if self.processes.first else log.debug
        if request.neutrals and request.config.objective != "listwise":
            raise InputError("Neutral sentences are ranked by --objective listwise alone: leave out --neutrals.")
        triplets, held, read = run_triplets(request.data, request.config, request.neutrals, hold_out=not request.dev)
        report(f"{request.data or 'Sample triplets'}: {read}.")
        dev = [development_pairs(source) for source in request.dev]
        precision = choose_training_precision(request.precision, request.device)
        pair = ModelPair.open(
            request.base,
            precision=precision,
            device=request.device,
            sharded=self.processes.shard,
            report=report,
        )
        longest = min(request.config.max_length, pair.context_length or request.config.max_length)
        self._examples, too_long = tokenize(pair.tokenizer, preferences(triplets, request.config), longest)
        if too_long:
            read.leave_out(len(too_long), f"longer than {longest} tokens")
            report(f"Left out {len(too_long)} triplets longer than {longest} tokens.")
        if not self._examples:
            raise InputError(f"No triplet is within {request.config.max_length} tokens: raise --max-length.")
        self._data = {
            "name": source_name(request.data),
            "summary": str(read) + (f"; {len(held)} held out" if held else ""),
            "sha256": source_sha256(request.data),
        }
        facts = {
            "base_model": request.base,
            "base_revision": pair.info.revision,
            "precision": str(pair.dtype) + (" from four bits" if pair.info.precision.four_bit else ""),
            "device": pair.device.type,
            "data": self._data,
            "neutrals": request.neutrals and sha256_of(request.neutrals),
            "dev": {source: source_sha256(source) for source in request.dev},
            "keep_checkpoints": request.keep_checkpoints,
            "config": {name: value for name, value in asdict(request.config).items() if name not in HOW_COMPUTED},
        }
        self._run = RunFolder.open(
            request.output, facts, resume=request.resume, keep_checkpoints=request.keep_checkpoints
        )
        self.processes.wait()  # all have looked before the first writes
        self._model = PolicyModel(pair, request.config)
        read_as = EncoderConfig()  # the paper's, unless sentences are trained to be read otherwise
        if request.config.reads:
            read_as = replace(read_as, template=request.config.embedding_template)
        self._encoder = Encoder(self._model.pair, read_as)
        self.score_name, self._score = _scorer(self._encoder, dev, held)
        report(f"Choosing the checkpoint by {self.score_name}.")
        self.before = self.processes.from_first(lambda: self._score(BASE), together=self._model.sharded)
        report(f"Base model: {self.before:.2f}.")
        if self.processes.first:
            self._run.begin(facts)
        self.processes.wait()

    def steps(self) -> Iterator[TrainStep]:
        """Yield every step; the run folder holds the best adapter so far at any time."""
        config = self.request.config
        try:
            yield from train(self._model, self._examples, config, self._run, lambda: self._score(SEMPA), self.processes)
        except torch.OutOfMemoryError as error:
            tokens = config.token_cap or self._model.pair.forward_tokens
            raise SempaError(
                f"The GPU has no memory left: go on with --resume --output {self.request.output} and a --token-cap "
                f"below {tokens}, on a GPU that others leave alone."
            ) from error

    def finish(self) -> Outcome:
        """Write recipe, facts and card beside the best adapter and give the folder its final name.

        To be called in the first of several processes alone.
        """
        lines = self._run.lines()
        scores = [{"samples": 0, "score": self.before}]
        scores += [{"samples": line["samples"], "score": line["score"]} for line in lines if "score" in line]
        best = max(scores[1:], key=lambda point: point["score"])
        config = replace(self.request.config, max_samples=self.request.config.max_samples or len(self._examples))
        facts = {
            "base_model": self.request.base,
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
        return self._publish(facts, config, best)

    def _publish(self, facts: dict[str, Any], config: TrainConfig, best: dict[str, Any]) -> Outcome:
        folder = self._run.scored_folder(best["samples"])
        adapter = sha256_of(folder / WEIGHTS_FILE)
        with self._run.writing("What is known of the run"):
            Recipe(self._encoder.recipe(BASE).with_adapter(adapter), config).save(folder)
            (folder / RUN_FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            plot_runs({"": (self._run.lines(), facts["scores"])}, facts["score_name"], folder / PLOT)
            write_card(folder, facts, config)
        output = self._run.finish(folder)
        return Outcome(output, self.score_name, self.before, best["score"], facts)


def export(request: TrainRequest, form: str, report: Report = log.info) -> Path:
    """Write the preferences a run may draw from in the form of another trainer; return the data file.

    Triplets that are held out or too long are left out, as in the run. How many are seen, in which order and at which
    rate is that trainer's to be told.
    Raises: any SempaError of the parts.
    """
    if not request.config.prefers or request.config.objective == "listwise":
        raise InputError("Only pairs can be exported: use --objective dpo.")
    triplets, held, read = run_triplets(request.data, request.config, request.neutrals, hold_out=not request.dev)
    report(f"{request.data or 'Sample triplets'}: {read}{f'; {len(held)} held out' if held else ''}.")
    tokenizer = read_tokenizer(locate(request.base, None, report))
    shown = preferences(triplets, request.config)
    _, too_long = tokenize(tokenizer, shown, request.config.max_length)
    if too_long:
        report(f"Left out {len(too_long)} triplets longer than {request.config.max_length} tokens.")
        long = set(map(id, too_long))
        shown = [preference for preference in shown if id(preference) not in long]
    return export_preferences(shown, form, request.output, partial(_without_bos, tokenizer))


def _without_bos(tokenizer: Any, request: str) -> str:
    """Return a rendered request for a trainer that tokenises it as any text: what it puts first is not there twice."""
    text = request_text(tokenizer, request)
    puts_first = tokenizer.bos_token and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]
    return text.removeprefix(tokenizer.bos_token) if puts_first else text


def _scorer(encoder: Encoder, dev: list[ScoredPairs], held: list[Triplet]) -> tuple[str, Any]:
    if dev:
        sets = " and ".join(f"{pairs.name} ({len(pairs.scores):,} pairs)" for pairs in dev)
        template = "PromptEOL" if encoder.config.template == "prompteol" else encoder.config.template
        name = f"{'mean ' if len(dev) > 1 else ''}Spearman x100 on {sets}, {template}, last layer, as the files give it"

        def spearman(variant: str) -> float:
            return fmean(sts_spearman(partial(encoder.encode, variant=variant), pairs) for pairs in dev)

        return name, spearman
    if not held:
        raise InputError("There is neither a --dev file nor a held-out triplet to choose a checkpoint by.")
    columns = [[getattr(t, part) for t in held] for part in ("anchor", "entailment", "contradiction")]

    def share(variant: str) -> float:
        return 100 * nearer_share(*(encoder.encode(column, variant) for column in columns))

    return f"the share (%) of {len(held)} held-out triplets whose entailment is nearer than the contradiction", share
