"""The Train tab in three steps: data, settings, and a run that is watched, tried, downloaded and deleted."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from sempa.errors import InputError
from sempa.service.jobs import RunState, TrainingJobs
from sempa.ui.downloads import folder_zip, offered
from sempa.ui.events import PRIVATE, Context, ask
from sempa.ui.plots import run_curves, run_words, score_chart
from sempa.ui.present import bar, note, refusal, say
from sempa.ui.train_form import build_form, on_page, preview_view, start_settings

EVERY = 2.0
"""Seconds between updates of a run."""


def build_train_tab(context: Context, jobs: TrainingJobs) -> None:
    """Add the tab's widgets and events to the page."""
    gr.Markdown(
        "Train an adapter for this model, one run at a time. A run goes on when you leave. Uploads are kept in `runs`."
    )
    name = gr.Textbox("mine", label="Name of the run", elem_id="train-name", min_width=220, render=False)
    form, look, seen = build_form(name)

    def previewed(*values: Any) -> str:
        request = form.request(*values)
        config = replace(start_settings(values[0]), **request.settings)  # type: ignore[arg-type]  # as train.py's flags
        command = jobs.command(request)  # raises for data that may not be read
        data = None if request.data is None else str(request.data)
        return preview_view(data, config, context.studio.pair.tokenizer, command)

    def starts(*values: Any) -> list[Any]:
        request = form.request(*values)
        if request.name in context.adapters.names:
            raise InputError(f"An adapter named {request.name!r} is loaded: choose another name of the run.")
        if isinstance(request.data, Path):
            previewed(*values)  # a file that cannot be used is refused here
        jobs.start(request)
        return ["", gr.update(choices=jobs.names, value=request.name), *[gr.update(open=False)] * len(form.steps)]

    def resumes(name: str | None) -> str:
        jobs.resume(_named(name))
        return ""

    ask([look.click], previewed, form.inputs, seen)
    with gr.Accordion("3 Run", elem_id="train-step-run"):
        with gr.Row():
            name.render()
            runs = gr.Dropdown(jobs.names, label="Run shown", elem_id="train-runs", min_width=220)
        with gr.Row():
            start = gr.Button("Start", variant="primary", elem_id="train-run")
            stop = gr.Button("Stop", interactive=False, elem_id="train-stop")
            resume = gr.Button("Resume", interactive=False, elem_id="train-resume")
        said = gr.HTML(elem_id="train-said", label="Message")
        watch = _build_watch(context, jobs, runs, said, [start, stop, resume])
    watch(ask([start.click], starts, form.inputs, [said, runs, *form.steps]))
    watch(stop.click(jobs.stop, None, None, **PRIVATE))
    watch(ask([resume.click], resumes, runs, said))


def _build_watch(context: Context, jobs: TrainingJobs, runs: gr.Dropdown, said: gr.HTML, acts: list[gr.Button]) -> Any:
    """Build what shows the chosen run and acts on it; return a function that refreshes it after an event."""
    out = gr.HTML(say("No run yet."), elem_id="train-out", label="Progress")
    scores = gr.Plot(label="Score against the base model", visible=False, elem_id="train-scores")
    with gr.Row():
        load = gr.Button("Use in the other tabs", interactive=False, elem_id="train-load")
        saved = gr.DownloadButton("Download the adapter (ZIP)", interactive=False, elem_id="train-zip")
        remove = gr.Button("Delete …", interactive=False, elem_id="train-delete")
    with gr.Row(visible=False) as sure:
        gr.Markdown("Delete this run, its adapter and its uploads? They cannot be restored.")
        yes = gr.Button("Delete", variant="stop", elem_id="train-yes")
        no = gr.Button("Keep it", elem_id="train-no")
    with gr.Accordion("Log and all curves", open=False, elem_id="train-more"):
        log = gr.HTML(elem_id="train-log", label="Log")
        curves = gr.Plot(label="Curves", visible=False, elem_id="train-curves")
    finished = gr.State("")  # the folder of the adapter, so that it is packed once and not at every update

    def watched(name: str | None) -> list[Any]:
        state = jobs.state(name) if name in jobs.names and name else None
        able = [gr.update(interactive=one) for one in actions(state, busy=jobs.running is not None)]
        if state is None:
            return [say("No run yet."), offered(None), "", offered(None), "", *able]
        charts = offered(_scores(state)), log_view(state), offered(run_curves([state.lines]))
        return [run_view(state), *charts, str(state.adapter or ""), *able]

    def loads(name: str | None) -> tuple[Any, str]:
        state = jobs.state(_named(name))
        if state.adapter is None:
            raise InputError("The run is not finished: wait until its adapter is complete.")
        loaded = state.name in context.adapters.names  # no run may take the name of another loaded adapter
        added = state.name if loaded else context.adapters.add(str(state.adapter))
        chosen = gr.update(choices=context.adapters.names, value=added)
        return chosen, say(f"{added} is now selected at the top of the page.")

    def deletes(name: str | None) -> tuple[str, Any, Any]:
        jobs.delete(_named(name))
        return say(f"{name} is deleted."), known(), gr.update(visible=False)

    def packed(folder: str) -> Any:
        return gr.update(value=folder_zip(Path(folder)) if folder else None, interactive=bool(folder))

    def known() -> Any:
        names = jobs.names
        return gr.update(choices=names, value=next(iter(names), None))

    shown = [out, scores, log, curves, finished, *acts, load, remove]

    def watch(event: Any) -> None:
        event.then(watched, runs, shown, **PRIVATE)

    remove.click(lambda: gr.update(visible=True), None, sure, **PRIVATE)
    no.click(lambda: gr.update(visible=False), None, sure, **PRIVATE)
    watch(ask([yes.click], deletes, runs, [said, runs, sure]))
    ask([load.click], loads, runs, [context.adapter, said])
    finished.change(packed, finished, saved, **PRIVATE)
    gr.on([gr.Timer(EVERY).tick, runs.change], watched, runs, shown, show_progress="hidden", **PRIVATE)
    context.page.load(known, None, runs, **PRIVATE)
    return watch


def _named(name: str | None) -> str:
    if not name:
        raise InputError("Choose a run first.")
    return name


def actions(state: RunState | None, *, busy: bool) -> list[bool]:
    """Return whether Start, Stop, Resume, Use and Delete can act; `busy` if any run is active."""
    done = state is not None and state.adapter is not None
    resumable = state is not None and state.resumable
    return [not busy, busy, resumable and not busy, done, state is not None and not state.running]


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def run_view(state: RunState) -> str:
    """Return a run's status: how far it is, what it gained, or why it failed."""
    seen = state.lines[-1]["samples"] if state.lines else 0
    count = f"{seen:,}{f' of {state.total:,}' if state.total else ''} triplets"
    if state.running and not seen:
        return say(f"{state.name} is starting") + note(state.output.rpartition("\n")[2])
    if state.running:
        left = f", about {duration(state.seconds_left)} left" if state.seconds_left is not None else ""
        return say(f"{state.name} is running: {count} seen{left}") + bar(seen, state.total)
    if state.adapter:
        return say(_gain(state)) + note(f"{_scored_by(state)}The adapter is in {state.adapter}.")
    if state.error:
        return refusal(f"{state.name} failed: {on_page(state.error)}")
    if state.resumable:
        return say(f"{state.name} was stopped after {count} and can be resumed.")
    return say(f"{state.name} ended without an adapter: see the log below.")


def _gain(state: RunState) -> str:
    if state.before is None or state.after is None:
        return f"{state.name} has finished: try it."
    scores = f"Before {state.before:.1f}, after {state.after:.1f}"
    if state.after > state.before:
        return f"{scores}: try it."
    return f"{scores}: no better than the base model. Try more triplets or another learning rate."


def _scored_by(state: RunState) -> str:
    return f"Score: {state.score_name}. " if state.score_name else ""


def _scores(state: RunState) -> PlotData | None:
    if state.before is None or not (total := state.total or (state.lines[-1]["samples"] if state.lines else 0)):
        return None
    return score_chart(
        state.before, [(line["samples"], line["score"]) for line in state.lines if "score" in line], total
    )


def log_view(state: RunState) -> str:
    """Return the final values of a run's curves and the end of its log."""
    log = f'<pre class="sp-words">{escape(state.output)}</pre>' if state.output else ""
    return run_words([state.lines]) + log
