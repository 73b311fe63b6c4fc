"""Train an adapter from the page: preview, the exact command, a live run, and the adapter in the other tabs."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from sempa.config import OBJECTIVES, RECIPES, TrainConfig
from sempa.errors import InputError
from sempa.service.adapters import Adapters
from sempa.service.jobs import RunRequest, RunState, TrainingJobs
from sempa.training.inputs import Shown, preview
from sempa.training.run import SAMPLE_SETTINGS
from sempa.ui.events import LANE, PRIVATE, as_text, for_people
from sempa.ui.plots import run_curves
from sempa.ui.present import say, scrollable

EVERY = 2.0
"""Seconds between two looks at a run."""
SAMPLES = "The sample triplets (500, written for this project)"
FILE, HUB = "A file of mine (CSV or JSONL)", "A hub data set"
PAIRS = "max_samples"
NUMBERS = {
    PAIRS: "Pairs",
    "lr": "Learning rate",
    "batch_size": "Pairs a step",
    "kl_weight": "Weight of holding to text",
    "evaluate_every": "Score every so many pairs",
    "seed": "Seed",
}
"""Settings that can be given, with their labels; whole numbers are those of WHOLE."""
WHOLE = (PAIRS, "batch_size", "evaluate_every", "seed")


@dataclass(frozen=True)
class Asked:
    """Hold the components that say what to train."""

    fixed: Sequence[Any]
    numbers: Mapping[str, gr.Number]

    @property
    def inputs(self) -> list[Any]:
        """Return them in the order `request` takes their values."""
        return [*self.fixed, *self.numbers.values()]

    def request(
        self, kind: str, file: str, hub: str | None, dev: str, objective: str, name: str | None, *given: Any
    ) -> RunRequest:
        """Return what the values ask for.

        Raises: InputError without data, or for a setting that cannot be.
        """
        data = {SAMPLES: None, FILE: Path(file) if file else None, HUB: (hub or "").strip()}[kind]
        if kind != SAMPLES and not data:
            raise InputError("There are no triplets yet: choose a file or name a hub data set.")
        settings = _settings(objective, dict(zip(self.numbers, given, strict=True)))
        if settings.get(PAIRS) == _shown(_start(kind), PAIRS):
            del settings[PAIRS]  # the recipe's own pairs, on the recipe's own schedule
        return RunRequest((name or "").strip(), data, Path(dev) if dev else None, settings)


def build_train_tab(adapters: Adapters, jobs: TrainingJobs, adapter: gr.Dropdown, page: gr.Blocks) -> None:
    """Put the tab's widgets and events into the page under construction."""
    gr.Markdown(
        "Train an adapter for the model that runs here. One run at a time; it goes on when you leave, and can be "
        "stopped and resumed. What you upload stays in this machine's `runs` folder."
    )
    asked = _build_question()
    with gr.Row():
        look = gr.Button("Preview", elem_id="train-look")
        run = gr.Button("Start", variant="primary", elem_id="train-run")
    told = gr.HTML(elem_id="train-preview", label="What the model will see")

    @for_people
    def shows(*values: Any) -> str:
        request = asked.request(*values)
        config = replace(_start(values[0]), **request.settings)  # type: ignore[arg-type]  # as train.py's own flags
        command = jobs.command(request)  # refuses what may not be read
        data = None if request.data is None else str(request.data)
        read, examples = preview(data, config, adapters.choose().pair.tokenizer)
        return _previewed(read, examples, config, command)

    look.click(shows, asked.inputs, told, **LANE, **PRIVATE)
    _build_runs(adapters, jobs, adapter, page, (run, asked))


def _build_question() -> Asked:
    with gr.Row():
        kind = gr.Radio(
            [SAMPLES, FILE, HUB],
            value=SAMPLES,
            label="Triplets to learn from",
            info="A file's columns: sent0, sent1, hard_neg or anchor, positive, negative.",
            elem_id="train-kind",
            min_width=320,
        )
        objectives = [name for name in OBJECTIVES if name != "listwise"]
        objective = gr.Dropdown(objectives, value="dpo", label="Objective", min_width=320, elem_id="train-objective")
    file = gr.File(
        file_types=[".csv", ".jsonl"],
        type="filepath",
        label="Your triplets",
        visible=False,
        elem_id="train-file",
        height=150,
    )
    hub = gr.Textbox(label="owner/name, with :subset or :file.csv if need be", visible=False, elem_id="train-hub")
    gr.Markdown("Scored pairs choose the checkpoint; without them, triplets that are held out do.")
    dev = gr.File(
        file_types=[".tsv", ".csv"],
        type="filepath",
        label="Columns score, sentence1, sentence2",
        elem_id="train-dev",
        height=150,
    )
    with gr.Accordion("Settings of the run", open=False), gr.Row():
        numbers = {
            name: gr.Number(_shown(SAMPLE_SETTINGS, name), label=label, min_width=120, elem_id=f"train-{name}")
            for name, label in NUMBERS.items()
        }
    name = gr.Textbox("mine", label="Name of the run", elem_id="train-name")

    def turned(kind: str) -> list[Any]:
        start = _start(kind)
        shown = [gr.update(visible=kind == FILE), gr.update(visible=kind == HUB)]
        return [*shown, *(_shown(start, name) for name in numbers)]

    kind.change(turned, kind, [file, hub, *numbers.values()], **PRIVATE)
    return Asked([kind, file, hub, dev, objective, name], numbers)


def _build_runs(
    adapters: Adapters, jobs: TrainingJobs, adapter: gr.Dropdown, page: gr.Blocks, start: tuple[gr.Button, Asked]
) -> None:
    gr.Markdown("## Runs")
    runs = gr.Dropdown(jobs.names, label="Run", elem_id="train-runs")
    with gr.Row():
        stop = gr.Button("Stop", elem_id="train-stop")
        resume = gr.Button("Resume", elem_id="train-resume")
        load = gr.Button("Use it in the other tabs", elem_id="train-load")
    out = gr.HTML(say("No run yet."), elem_id="train-out", label="The run")
    run, asked = start

    @for_people
    def starts(*values: Any) -> tuple[Any, str]:
        request = asked.request(*values)
        jobs.start(request)
        return gr.update(choices=jobs.names, value=request.name), say("Starting …")

    @for_people
    def resumes(name: str | None) -> str:
        jobs.resume(_named(name))
        return say("Going on …")

    @for_people
    def loads(name: str | None) -> Any:
        state = jobs.state(_named(name))
        if state.adapter is None:
            raise InputError("The run is not finished: its adapter can be used once it is whole.")
        added = adapters.add(str(state.adapter))
        gr.Info(as_text(f"{added} is chosen at the top: ask again in the other tabs to see it."))
        return gr.update(choices=adapters.names, value=added)

    def watched(name: str | None) -> str:
        return run_view(jobs.state(name)) if name in jobs.names else say("No run yet.")

    def known() -> Any:
        names = jobs.names
        return gr.update(choices=names, value=next(iter(names), None))

    run.click(starts, asked.inputs, [runs, out], **PRIVATE).success(watched, runs, out, **PRIVATE)
    stop.click(jobs.stop, None, None, **PRIVATE).then(watched, runs, out, **PRIVATE)
    resume.click(resumes, runs, out, **PRIVATE)
    load.click(loads, runs, adapter, **LANE, **PRIVATE)
    gr.on([gr.Timer(EVERY).tick, runs.change], watched, runs, out, show_progress="hidden", **PRIVATE)
    page.load(known, None, runs, **PRIVATE)


def _start(kind: str) -> TrainConfig:
    """Return the settings that train.py starts from."""
    return SAMPLE_SETTINGS if kind == SAMPLES else RECIPES["small"]


def _shown(start: TrainConfig, name: str) -> Any:
    """Return the number to start from; of pairs, those that are trained on."""
    return start.stop_after or start.max_samples if name == PAIRS else getattr(start, name)


def _named(name: str | None) -> str:
    if not name:
        raise InputError("Choose a run first.")
    return name


def _settings(objective: str, given: Mapping[str, float | None]) -> dict[str, object]:
    settings: dict[str, object] = {"objective": objective}
    for name, value in given.items():
        if value is None:
            raise InputError(f"{NUMBERS[name]} is empty: give a number.")
        settings[name] = int(value) if name in WHOLE else value
    replace(TrainConfig(), **settings)  # type: ignore[arg-type]  # a bad value is refused here, by name
    return settings


def _previewed(read: str, examples: Sequence[Shown], config: TrainConfig, command: Sequence[str]) -> str:
    rows = []
    for number, example in enumerate(examples, start=1):
        cells = [example.prompt, *example.answers] if config.prefers else []
        cells += example.read if config.reads else ()
        rows.append(f"<tr><td>{number}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    heads = ["", *(["prompt", "preferred", "rejected"] if config.prefers else [])]
    heads += ["anchor, as read", "entailment, as read", "contradiction, as read"] if config.reads else []
    head = "".join(f"<th scope='col'>{escape(text)}</th>" for text in heads)
    table = f'<table class="sp-table sp-pair"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return (
        f'<p class="sp-note">{escape(read)}. The first {len(examples)}, as the model will see them:</p>'
        f"{scrollable(table, 'sp-long')}"
        '<p class="sp-note">The command, should you rather type it (uploads are kept there once it starts):</p>'
        f'<pre class="sp-words">{escape(shlex.join(command))}</pre>'
    )


def run_view(state: RunState) -> str:
    """Return how a run stands: words, curves, and what it said last."""
    if state.running:
        status = f"{state.name} is running"
    elif state.adapter:
        status = f"{state.name} is finished: its adapter is in {state.adapter}"
    else:
        status = f"{state.name} was stopped or broke off" + (" and can be resumed" if state.resumable else "")
    if state.lines:
        last = state.lines[-1]
        status += f"; {last['samples']:,} pairs seen, {last['seconds']:.1f} s for the last step"
    words = f'<pre class="sp-words">{escape(state.said)}</pre>' if state.said else ""
    return f"{say(status)}{run_curves([state.lines])}{words}"
