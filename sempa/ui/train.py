"""The Train tab: preview, exact command, live run, and the new adapter in the other tabs."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from sempa.config import OBJECTIVES, RECIPES, TrainConfig
from sempa.errors import InputError
from sempa.service.jobs import RunRequest, RunState, TrainingJobs
from sempa.training.inputs import preview
from sempa.training.run import SAMPLE_SETTINGS
from sempa.ui.downloads import offered
from sempa.ui.events import PRIVATE, Context, ask
from sempa.ui.plots import run_curves, run_words
from sempa.ui.present import note, say, table

EVERY = 2.0
"""Seconds between updates of a run."""
SAMPLES = "The sample triplets (500, written for this project)"
FILE, HUB = "Your own file (CSV or JSONL)", "A data set on the Hugging Face Hub"
PAIRS = "max_samples"
NUMBERS = {
    PAIRS: "Pairs",
    "lr": "Learning rate",
    "batch_size": "Batch size",
    "kl_weight": "KL weight",
    "evaluate_every": "Pairs between evaluations",
    "seed": "Seed",
}
"""Settings on the form, with their labels; those in WHOLE are whole numbers."""
WHOLE = (PAIRS, "batch_size", "evaluate_every", "seed")


@dataclass(frozen=True)
class TrainForm:
    """Hold the form's components."""

    fixed: Sequence[Any]
    numbers: Mapping[str, gr.Number]

    @property
    def inputs(self) -> list[Any]:
        """Return the components in the order in which `request` takes their values."""
        return [*self.fixed, *self.numbers.values()]

    def request(
        self, kind: str, file: str, hub: str | None, dev: str, objective: str, name: str | None, *given: Any
    ) -> RunRequest:
        """Return the run requested by the form's values.

        Raises: InputError without data or, naming its label, for a setting out of bounds.
        """
        data = {SAMPLES: None, FILE: Path(file) if file else None, HUB: (hub or "").strip()}[kind]
        if kind != SAMPLES and not data:
            raise InputError("There are no triplets yet: choose a file or name a hub data set.")
        settings = _settings(objective, dict(zip(self.numbers, given, strict=True)))
        for setting in (PAIRS, "evaluate_every"):  # unchanged defaults are adjusted to the data
            if settings.get(setting) == _shown(_start(kind), setting):
                del settings[setting]
        return RunRequest((name or "").strip(), data, Path(dev) if dev else None, settings)


def build_train_tab(context: Context, jobs: TrainingJobs) -> None:
    """Add the tab's widgets and events to the page."""
    gr.Markdown(
        "Train an adapter for the model loaded here. One run can be active at a time. It continues when you leave, and "
        "you can stop and resume it. Uploads are kept in this machine's `runs` folder."
    )
    form = _build_form()
    with gr.Row():
        look = gr.Button("Preview", elem_id="train-look")
        run = gr.Button("Start", variant="primary", elem_id="train-run")
    out = gr.HTML(elem_id="train-preview", label="Preview")

    def previewed(*values: Any) -> str:
        request = form.request(*values)
        config = replace(_start(values[0]), **request.settings)  # type: ignore[arg-type]  # as train.py's own flags
        command = jobs.command(request)  # raises for data that may not be read
        data = None if request.data is None else str(request.data)
        return preview_view(data, config, context.studio.pair.tokenizer, command)

    ask([look.click], previewed, form.inputs, out)
    _build_runs(context, jobs, run, form, out)


def _build_form() -> TrainForm:
    with gr.Row():
        kind = gr.Radio(
            [SAMPLES, FILE, HUB],
            value=SAMPLES,
            label="Triplets to train on",
            info="Columns of the file: sent0, sent1, hard_neg or anchor, positive, negative.",
            elem_id="train-kind",
            min_width=320,
        )
        objectives = [name for name in OBJECTIVES if name != "listwise"]
        objective = gr.Dropdown(
            objectives, value=TrainConfig().objective, label="Objective", min_width=320, elem_id="train-objective"
        )
    file = gr.File(
        file_types=[".csv", ".jsonl"],
        type="filepath",
        label="Your triplets",
        visible=False,
        elem_id="train-file",
        height=150,
    )
    hub = gr.Textbox(label="owner/name, or owner/name:subset", visible=False, elem_id="train-hub")
    gr.Markdown("Optional: scored pairs that choose the best checkpoint. Without them, held-out triplets do.")
    dev = gr.File(
        file_types=[".tsv", ".csv"],
        type="filepath",
        label="Columns score, sentence1, sentence2",
        elem_id="train-dev",
        height=150,
    )
    with gr.Accordion("Settings", open=False), gr.Row():
        numbers = {
            name: gr.Number(_shown(SAMPLE_SETTINGS, name), label=label, min_width=120, elem_id=f"train-{name}")
            for name, label in NUMBERS.items()
        }
    name = gr.Textbox("mine", label="Name of the run", elem_id="train-name")

    def chosen(kind: str) -> list[Any]:
        start = _start(kind)
        shown = [gr.update(visible=kind == FILE), gr.update(visible=kind == HUB)]
        return [*shown, *(_shown(start, name) for name in numbers)]

    kind.change(chosen, kind, [file, hub, *numbers.values()], **PRIVATE)
    return TrainForm([kind, file, hub, dev, objective, name], numbers)


def _build_runs(context: Context, jobs: TrainingJobs, start: gr.Button, form: TrainForm, below: gr.HTML) -> None:
    gr.Markdown("## Runs")
    runs = gr.Dropdown(jobs.names, label="Run", elem_id="train-runs")
    with gr.Row():
        stop = gr.Button("Stop", interactive=False, elem_id="train-stop")
        resume = gr.Button("Resume", interactive=False, elem_id="train-resume")
        load = gr.Button("Use in the other tabs", interactive=False, elem_id="train-load")
        remove = gr.Button("Delete …", interactive=False, elem_id="train-delete")
    with gr.Row(visible=False) as sure:
        gr.Markdown("Delete this run, its adapter and its uploads? They cannot be restored.")
        yes = gr.Button("Delete", variant="stop", elem_id="train-yes")
        no = gr.Button("Keep it", elem_id="train-no")
    said = gr.HTML(elem_id="train-said", label="Message")
    out = gr.HTML(say("No run yet."), elem_id="train-out", label="Progress")
    curves = gr.Plot(label="Curves", visible=False, elem_id="train-curves")

    def starts(*values: Any) -> tuple[Any, str]:
        request = form.request(*values)
        jobs.start(request)
        return gr.update(choices=jobs.names, value=request.name), say("Started: its progress is below.")

    def resumes(name: str | None) -> str:
        jobs.resume(_named(name))
        return ""

    def loads(name: str | None) -> tuple[Any, str]:
        state = jobs.state(_named(name))
        if state.adapter is None:
            raise InputError("The run is not finished: wait until its adapter is complete.")
        added = context.adapters.add(str(state.adapter))
        chosen = gr.update(choices=context.adapters.names, value=added)
        return chosen, say(f"{added} is now selected at the top of the page.")

    def deletes(name: str | None) -> tuple[str, Any, Any]:
        jobs.delete(_named(name))
        return say(f"{name} is deleted."), known(), gr.update(visible=False)

    def watched(name: str | None) -> list[Any]:
        if name not in jobs.names:
            return [say("No run yet."), offered(None), *actions(None)]
        state = jobs.state(name)
        return [run_view(state), offered(run_curves([state.lines])), *actions(state)]

    def known() -> Any:
        names = jobs.names
        return gr.update(choices=names, value=next(iter(names), None))

    shown = [out, curves, stop, resume, load, remove]
    ask([start.click], starts, form.inputs, [runs, below]).then(watched, runs, shown, **PRIVATE)
    stop.click(jobs.stop, None, None, **PRIVATE).then(watched, runs, shown, **PRIVATE)
    ask([resume.click], resumes, runs, said).then(watched, runs, shown, **PRIVATE)
    remove.click(lambda: gr.update(visible=True), None, sure, **PRIVATE)
    no.click(lambda: gr.update(visible=False), None, sure, **PRIVATE)
    ask([yes.click], deletes, runs, [said, runs, sure]).then(watched, runs, shown, **PRIVATE)
    ask([load.click], loads, runs, [context.adapter, said])
    gr.on([gr.Timer(EVERY).tick, runs.change], watched, runs, shown, show_progress="hidden", **PRIVATE)
    context.page.load(known, None, runs, **PRIVATE)


def _start(kind: str) -> TrainConfig:
    """Return train.py's default settings."""
    return SAMPLE_SETTINGS if kind == SAMPLES else RECIPES["small"]


def _shown(start: TrainConfig, name: str) -> Any:
    """Return a field's initial number; for PAIRS, the pairs actually trained on."""
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
    try:
        replace(TrainConfig(), **settings)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(re.sub(r"\w+", lambda word: NUMBERS.get(word[0], word[0]), str(error))) from error
    return settings


def preview_view(data: str | None, config: TrainConfig, tokenizer: Any, command: Sequence[str]) -> str:
    """Return the first triplets as the model sees them, and the command that trains on them.

    Raises: InputError for unusable data, with a hint that suits the page.
    """
    try:
        read, examples = preview(data, config, tokenizer)
    except InputError as error:
        hint = "Add triplets in which only the other answer negates."
        raise InputError(re.sub(r"Use --no-balance-negation[^.]*\.", hint, str(error))) from error
    heads = ["", *(["Prompt", "Preferred", "Rejected"] if config.prefers else [])]
    heads += ["Anchor as embedded", "Entailment as embedded", "Contradiction as embedded"] if config.contrasts else []
    rows = []
    for number, example in enumerate(examples, start=1):
        cells = [example.request, *example.responses] if config.prefers else []
        rows.append([str(number), *map(escape, [*cells, *(example.sentences if config.contrasts else ())])])
    return (
        note(f"{read}. The first {len(examples)}, as the model will see them:")
        + table(heads, rows, kind="sp-pair", frame="sp-long")
        + note("Start runs this command:")
        + f'<pre class="sp-words">{escape(shlex.join(command))}</pre>'
    )


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def actions(state: RunState | None) -> list[Any]:
    """Return the updates of Stop, Resume, Use and Delete: only what can act on the run is enabled."""
    able = [state.running, state.resumable, state.adapter is not None, not state.running] if state else [False] * 4
    return [gr.update(interactive=one) for one in able]


def run_view(state: RunState) -> str:
    """Return a run's status, the final values of its curves, and the end of its log."""
    if state.running:
        status = f"{state.name} is running"
    elif state.adapter:
        status = f"{state.name} has finished: its adapter is in {state.adapter}"
        if state.scores:
            status += f"; development score {state.scores[0]:.1f} before, {state.scores[1]:.1f} after"
    else:
        status = f"{state.name} was stopped" + (" and can be resumed" if state.resumable else "")
    if state.lines:
        last = state.lines[-1]
        of = f" of {state.total:,}" if state.total and not state.adapter else ""
        status += f"; {last['samples']:,}{of} pairs seen"
        if state.running and state.seconds_left is not None:
            status += f", about {duration(state.seconds_left)} left"
    log = f'<pre class="sp-words">{escape(state.output)}</pre>' if state.output else ""
    return f"{say(status)}{run_words([state.lines])}{log}"
