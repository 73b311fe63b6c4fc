"""The Evidence tab: what was measured, as charts, and the tables behind them; a visitor's own pairs."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from sempa.evaluation.tables import ResultTable, result_table
from sempa.evaluation.verdicts import title, verdict
from sempa.machine import hardware
from sempa.models.named import NAMED
from sempa.models.pair import SEMPA
from sempa.service.studio import Studio
from sempa.ui.charts import contrast_chart, cost_chart, similarity_chart
from sempa.ui.downloads import offered
from sempa.ui.events import PRIVATE, Context
from sempa.ui.own_pairs import build_own_pairs
from sempa.ui.plots import run_curves, run_words
from sempa.ui.present import MODEL_NAMES, fact_table, note, say, table

OPEN = ("sts", "generation")
"""Results unfolded initially: the main gain and its cost."""


def measured(result: ResultTable) -> str:
    """Return a result as a table, with the note on its measurement above."""
    head = [MODEL_NAMES.get(name, name) for name in result.head]
    return note(result.about) + table(head, [[_cell(cell) for cell in row] for row in result.rows])


def _cell(text: str) -> str:
    """Return a cell's text: an interval stays on one line; a task's name may wrap between words."""
    return escape(text).replace(" to ", "&nbsp;to&nbsp;").replace("_", "_<wbr>")


def evidence(results: Sequence[Mapping[str, Any]]) -> str:
    """Return results as lines that unfold to tables: gains first, then costs."""
    shown = [(title(result), verdict(result), result) for result in sorted(results, key=_place)]
    return "".join(
        f"<details class='sp-result'{' open' if result.get('what') in OPEN else ''}>"
        f"<summary><b>{escape(name)}</b> {escape(line)}</summary>{measured(result_table(result))}</details>"
        for name, line, result in shown
    )


def _place(result: Mapping[str, Any]) -> tuple[int, int]:
    if result["what"] not in OPEN:
        return len(OPEN), 0
    return OPEN.index(result["what"]), -len(result.get("sets") or result["tasks"])


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


CHARTS = {
    "similarity": ("What it gains: similarity", similarity_chart, "sts"),
    "cost": ("What it costs: knowledge and writing", cost_chart, "generation"),
    "contrast": ("What it gains: meaning over wording", contrast_chart, "contrast"),
}
"""The charts of the tab: each one's title, the function that draws it from results, and the evaluation it needs."""
ROWS = (("similarity", "cost"), ("contrast",))


def charts(results: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return each chart and, as HTML, its text alternative; a chart without results says how to measure them."""
    shown: list[Any] = []
    for label, draw, what in (CHARTS[name] for row in ROWS for name in row):
        plot, words = draw(results) or (None, "")
        missing = f"{label}: no results for this model and adapter. To measure: sempa evaluate {what}"
        shown += [offered(plot), note(words) if words else say(missing)]
    return shown


def details(studio: Studio) -> list[Any]:
    """Return the charts with their words, the facts, the training curves, and all tables."""
    runs, results = studio.pair.adapter.runs if studio.pair.adapter else [], studio.results()
    return [
        *charts(results),
        fact_table(facts(studio)) + run_words(runs),
        offered(run_curves(runs)),
        evidence(results),
    ]


def build_evidence_tab(context: Context) -> None:
    """Add the tab's widgets and events to the page."""
    context.links.add("evidence")
    gr.Markdown("What does alignment gain, and what does it cost? Measured with the loaded base model and adapter.")
    shown = iter(details(context.studio))
    out: list[Any] = []

    def plot(label: str, name: str) -> None:
        update = next(shown)
        out.append(gr.Plot(update["value"], visible=update["visible"], label=label, elem_id=f"evidence-{name}"))

    def words(label: str, name: str) -> None:
        out.append(gr.HTML(next(shown), label=label, elem_id=f"evidence-{name}"))

    for row in ROWS:
        with gr.Row():
            for name in row:
                with gr.Column(min_width=320):
                    plot(CHARTS[name][0], name)
                    words(CHARTS[name][0], f"{name}-words")
    with gr.Accordion(
        "Models, training, and all tables with p-values and machines", open=False, elem_id="evidence-all"
    ):
        words("Model details", "known")
        plot("Training", "curves")
        words("Measured results", "tables")
    build_own_pairs(context)
    context.adapter.change(lambda name: details(context.adapters.choose(name)), context.adapter, out, **PRIVATE)
