"""The Compare tab: one prompt to both models, their key tokens and their measured results."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from sempa.machine import hardware
from sempa.models.generate import Sampling
from sempa.models.named import NAMED
from sempa.models.pair import SEMPA
from sempa.service.studio import Studio
from sempa.ui.downloads import offered
from sempa.ui.events import PRIVATE, Context, seed_field, slider
from sempa.ui.evidence import evidence
from sempa.ui.own_pairs import build_own_pairs
from sempa.ui.plots import run_curves, run_words
from sempa.ui.present import fact_table, say
from sempa.ui.streaming import build_writing, shown
from sempa.ui.tokens import build_tokens

FIRST_SAMPLING = Sampling(n=1, temperature=0, max_new_tokens=64)
EXAMPLES = [
    "In two sentences, why is the sky blue?",
    "Write a four-line poem about a lighthouse.",
    "What is 17 times 6? Explain the steps.",
    "Give three tips for a first job interview.",
]


def answers(studio: Studio, prompt: str, stopped: Callable[[], bool], **sampling: Any) -> Iterator[str]:
    """Yield both models' answers as they are generated; `sampling` has the fields of Sampling."""
    asked = Sampling(n=1, top_p=0.9, **sampling)
    yield from shown(studio.answer(prompt, asked, stopped), studio.adapter, asked.max_new_tokens)


def facts(studio: Studio) -> list[tuple[str, str]]:
    """Return the details of the two models: names, sizes, recipe, machine."""
    pair, config = studio.pair, studio.encoder.config
    rows = [
        ("Base model", pair.info.name + (f" ({pair.info.revision})" if pair.info.revision else "")),
        *_named(pair.info.name),
        ("Parameters", f"{pair.info.parameters:,}"),
    ]
    if pair.adapter and SEMPA in studio.variants:
        share = pair.adapter_parameters / pair.info.parameters
        size = f"{pair.adapter_parameters:,} parameters ({share:.1%} of the base)"
        scale = pair.adapter.scale
        scaled = "" if scale == 1 else f", scaled to {scale:.0%}"
        rows.append(("Adapter", f"{studio.adapter}, {size}{scaled}"))
        if (recipe := pair.adapter.recipe) and (t := recipe.training):
            seeds = pair.adapter.seeds
            drawn = f"weights averaged over seeds {', '.join(map(str, seeds))}" if seeds else f"seed {t.seed}"
            rows.append(("Training", f"{t.objective}: {t.summary()}, schedule of {t.max_samples:,}, {drawn}"))
    rows += [
        ("Embedding", f"template {config.template}, layer {config.layer}, {config.pooling} token"),
        ("Precision", str(pair.info.precision)),
        ("Machine", hardware()),
    ]
    return rows


def _named(base: str) -> list[tuple[str, str]]:
    if (model := NAMED.get(base)) is None:
        return []
    rows = [("Weights", f"{model.weights} ({model.published})"), ("Languages", model.languages)]
    return [*rows, ("Licence", f"{model.licence}. {model.terms}" if model.terms else model.licence)]


def details(studio: Studio) -> list[Any]:
    """Return the facts with the final training metrics, the training curves, and every measured result."""
    runs = studio.pair.adapter.runs if studio.pair.adapter else []
    return [
        fact_table(facts(studio)) + run_words(runs),
        offered(run_curves(runs)),
        evidence(studio.results()) or say("No measured results for this model and adapter yet."),
    ]


def build_compare_tab(context: Context) -> None:
    """Add the tab's widgets and events to the page."""

    def settings() -> dict[str, Any]:
        first = FIRST_SAMPLING
        with gr.Row():
            return {
                "temperature": slider(0, 1.5, first.temperature, "Temperature (0 = most likely)", step=0.05),
                "max_new_tokens": slider(16, 512, first.max_new_tokens, "Token limit", step=16),
                "seed": seed_field(first.seed),
            }

    gr.Markdown("Can the aligned model still write? Send both the same prompt.")
    build_writing(context, "compare", ("prompt", "Prompt"), EXAMPLES, "Send to both", settings, answers)
    build_tokens(context)
    build_own_pairs(context)
    gr.Markdown("## Model details")
    known, curves, results = details(context.studio)
    out = [
        gr.HTML(known, elem_id="compare-known", label="Model details"),
        gr.Plot(curves["value"], visible=curves["visible"], label="Training", elem_id="compare-curves"),
        gr.HTML(results, elem_id="compare-evidence", label="Measured results"),
    ]
    context.adapter.change(lambda name: details(context.adapters.choose(name)), context.adapter, out, **PRIVATE)
