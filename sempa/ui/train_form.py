"""The first two steps of the Train tab: data and settings, checked where they are entered, with a preview."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from sempa.config import OBJECTIVES, RECIPES, TrainConfig
from sempa.errors import InputError
from sempa.service.jobs import RunRequest
from sempa.training.inputs import preview
from sempa.training.run import SAMPLE_SETTINGS
from sempa.ui.events import MAX_SEED, PRIVATE, ask
from sempa.ui.present import note, table

SAMPLES = "The sample triplets (500, written for this project)"
FILE, HUB = "Your own file (CSV or JSONL)", "A data set on the Hugging Face Hub"
TRIPLETS, BETWEEN = "max_samples", "evaluate_every"
NUMBERS = {
    TRIPLETS: ("Triplets", 1, 10_000_000, 1),
    "lr": ("Learning rate", 0.000001, 1, 0.0001),
    "batch_size": ("Batch size", 1, 4_096, 1),
    "kl_weight": ("KL weight", 0, 1_000, 0.1),
    BETWEEN: ("Triplets between scores", 1, 10_000_000, 1),
    "seed": ("Seed", 0, MAX_SEED, 1),
}
"""Settings on the form: label, limits and step; a whole step means whole numbers."""
_NAMES = {**{name: label for name, (label, *_) in NUMBERS.items()}, "dev": "scored-pairs"}
_BALANCE = ("Use --no-balance-negation to keep them.", "Add triplets in which only the other answer negates.")


@dataclass(frozen=True)
class TrainForm:
    """Hold the form's components; `steps` are the accordions that fold when a run starts."""

    fixed: Sequence[Any]
    numbers: Mapping[str, gr.Number]
    steps: Sequence[gr.Accordion] = ()

    @property
    def inputs(self) -> list[Any]:
        """Return the components in the order in which `request` takes their values."""
        return [*self.fixed, *self.numbers.values()]

    def request(
        self, kind: str, file: str, hub: str | None, dev: str, objective: str, name: str | None, *given: Any
    ) -> RunRequest:
        """Return the run requested by the form's values, whose numbers the fields have checked.

        Raises: InputError without data.
        """
        data = {SAMPLES: None, FILE: Path(file) if file else None, HUB: (hub or "").strip()}[kind]
        if kind != SAMPLES and not data:
            raise InputError("There are no triplets yet: choose a file or name a hub data set.")
        settings = {"objective": objective, **dict(zip(self.numbers, given, strict=True))}
        for setting in (TRIPLETS, BETWEEN):  # unchanged defaults are adjusted to the data
            if settings.get(setting) == _shown(start_settings(kind), setting):
                del settings[setting]
        return RunRequest((name or "").strip(), data, Path(dev) if dev else None, settings)


def build_form(name: gr.Textbox) -> tuple[TrainForm, gr.Button, gr.HTML]:
    """Build the steps of data and settings; return the form, the Preview button and the preview's place."""
    with gr.Accordion("1 Data", elem_id="train-data") as data:
        kind, file, hub, dev, look = _data_fields()
        seen = gr.HTML(elem_id="train-preview", label="Preview")
    with gr.Accordion("2 Settings", elem_id="train-settings") as settings:
        with gr.Row():
            objectives = [name for name in OBJECTIVES if name != "listwise"]
            objective = gr.Dropdown(
                objectives, value=TrainConfig().objective, label="Objective", min_width=130, elem_id="train-objective"
            )
            numbers = {name: _number(name) for name in NUMBERS}
        wrong = gr.HTML(elem_id="train-wrong", label="What is wrong with a number")

    def chosen(kind: str) -> list[Any]:
        start = start_settings(kind)
        shown = [gr.update(visible=kind == FILE), gr.update(visible=kind == HUB)]
        return [*shown, *(_shown(start, name) for name in numbers)]

    kind.change(chosen, kind, [file, hub, *numbers.values()], **PRIVATE)
    fields = list(numbers.values())
    ask([field.change for field in fields], lambda *_: "", fields, wrong, queue=False, show_progress="hidden")
    return TrainForm([kind, file, hub, dev, objective, name], numbers, [data, settings]), look, seen


def _data_fields() -> tuple[gr.Radio, gr.File, gr.Textbox, gr.File, gr.Button]:
    with gr.Row():
        with gr.Column(min_width=320):
            kind = gr.Radio(
                [SAMPLES, FILE, HUB],
                value=SAMPLES,
                label="Triplets to train on",
                info="Columns of the file: sent0, sent1, hard_neg or anchor, positive, negative.",
                elem_id="train-kind",
            )
            file = gr.File(file_types=[".csv", ".jsonl"], type="filepath", label="Your triplets", visible=False,
                           elem_id="train-file", height=160)  # fmt: skip
            hub = gr.Textbox(label="owner/name, or owner/name:subset", visible=False, elem_id="train-hub")
        with gr.Column(min_width=320):
            with gr.Accordion("Optional: scored pairs", open=False, elem_id="train-scored"):
                gr.Markdown("They choose the best checkpoint. Without them, held-out triplets do.")
                dev = gr.File(file_types=[".tsv", ".csv"], type="filepath", label="score, sentence1, sentence2",
                              elem_id="train-dev", height=160)  # fmt: skip
            look = gr.Button("Preview", elem_id="train-look")
    return kind, file, hub, dev, look


def _number(name: str) -> gr.Number:
    label, low, high, step = NUMBERS[name]
    value = _shown(SAMPLE_SETTINGS, name)
    return gr.Number(value, label=label, minimum=low, maximum=high, step=step, min_width=130, elem_id=f"train-{name}")


def start_settings(kind: str) -> TrainConfig:
    """Return train.py's default settings for a kind of data."""
    return SAMPLE_SETTINGS if kind == SAMPLES else RECIPES["small"]


def _shown(start: TrainConfig, name: str) -> Any:
    """Return a field's initial number; for TRIPLETS, those actually trained on."""
    return start.stop_after or start.max_samples if name == TRIPLETS else getattr(start, name)


def on_page(message: str) -> str:
    """Return an error of train.py in the page's words: labels for settings, no flags that the page does not offer."""
    named = re.sub(r"(?:--)?\b[a-z][a-z_-]*", _label, message.replace(*_BALANCE))
    return re.sub(r"[:;,.] [^:;.]*--[a-z].*$", ".", named, flags=re.DOTALL)


def _label(word: re.Match[str]) -> str:
    return _NAMES.get(word[0].removeprefix("--").replace("-", "_"), word[0])


def preview_view(data: str | None, config: TrainConfig, tokenizer: Any, command: Sequence[str]) -> str:
    """Return the first triplets as the model sees them, and the command that trains on them.

    Raises: InputError for unusable data, in the page's words.
    """
    try:
        read, examples = preview(data, config, tokenizer)
    except InputError as error:
        raise InputError(on_page(str(error))) from error
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
