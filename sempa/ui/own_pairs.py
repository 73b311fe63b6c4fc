"""Measure a visitor's own scored pairs: both models' correlation with the scores, and their disagreements."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from sempa.errors import InputError
from sempa.evaluation.sts import MeasuredPairs
from sempa.service.limits import MAX_PAIRS
from sempa.service.studio import Studio
from sempa.ui.downloads import csv_file, offered
from sempa.ui.events import LONG, Context, ask, grey_out
from sempa.ui.plots import COLOURS, figure, points
from sempa.ui.present import MODEL_NAMES, grid, note, pair_table, say
from sempa.ui.streaming import tabled

SHOWN = 10
"""Pairs listed below the figures."""


def measured_file(studio: Studio, path: str | None) -> Iterator[tuple[Any, ...]]:
    """Measure a file of scored pairs: yield progress, then the figures as HTML, the CSV's path and a chart.

    Raises: InputError without a file, or what `Studio.measure_pairs` raises.
    """
    if not path:
        raise InputError("Choose a file first: CSV or TSV with the columns score, sentence1, sentence2.")

    def view(measured: MeasuredPairs) -> tuple[Any, ...]:
        table = _table(measured, studio.adapter)
        return (
            pairs_view(measured, studio.adapter),
            offered(table),
            offered(pairs_chart(measured)),
        )

    return tabled(lambda progress: studio.measure_pairs(Path(path), progress), view, 3)


def pairs_view(measured: MeasuredPairs, adapter: str) -> str:
    """Return both models' figures, the change with its interval, and the pairs they disagree on most."""
    pairs = measured.pairs
    cards = {
        variant: f'<div class="sp-figure">{figures["spearman"]:.1f}</div>'
        + note(f"Spearman x100 of {len(pairs.scores):,} pairs")
        for variant, figures in measured.figures.items()
        if variant in MODEL_NAMES
    }
    change = measured.figures.get("change")
    moved = ""
    if change:
        interval = f"{change['low']:+.1f} to {change['high']:+.1f}"
        moved = say(f"Change {change['spearman']:+.1f}, 95% interval {interval} (paired bootstrap).")
    order = measured.disagreement()[:SHOWN]
    cells = [[f"{pairs.scores[i]:g}", *(f"{row[i]:.3f}" for row in measured.cosines.values())] for i in order]
    return f"{grid(cards, adapter)}{moved}" + pair_table(
        [(pairs.first[i], pairs.second[i]) for i in order],
        cells,
        ["Score", *(MODEL_NAMES[variant] for variant in measured.cosines)],
        "Pairs whose rank differs most between the models",
    )


def pairs_chart(measured: MeasuredPairs) -> PlotData:
    """Plot both models' cosines against the given scores."""
    traces = [
        points(list(zip(measured.pairs.scores, row.tolist(), strict=True)), MODEL_NAMES[name], COLOURS[name])
        for name, row in measured.cosines.items()
    ]
    return figure(traces, xaxis={"title": {"text": "your score"}}, yaxis={"title": {"text": "cosine"}}, height=340)


def _table(measured: MeasuredPairs, adapter: str) -> str:
    named = [adapter if variant == "sempa" else variant for variant in measured.cosines]
    head = ["score", "sentence1", "sentence2", *(f"cosine_{name}" for name in named)]
    pairs = measured.pairs
    cosines = [row.tolist() for row in measured.cosines.values()]
    rows = list(zip(pairs.scores, pairs.first, pairs.second, *cosines, strict=True))
    return csv_file("pairs", head, ([f"{rows[i][0]:g}", *rows[i][1:]] for i in measured.disagreement()))


def build_own_pairs(context: Context) -> None:
    """Add the part's widgets and events to the page."""

    def answer(path: str | None, adapter: str) -> Iterator[tuple[Any, ...]]:
        yield from measured_file(context.adapters.choose(adapter), path)

    gr.Markdown(
        f"## Measure your own pairs\nUpload a CSV or TSV file with the columns `score`, `sentence1`, `sentence2`, up "
        f"to {MAX_PAIRS:,} rows. The file and the results are deleted after an hour."
    )
    file = gr.File(file_types=[".csv", ".tsv"], type="filepath", label="Scored pairs", height=120, elem_id="pairs-file")
    run = gr.Button("Measure both models", elem_id="pairs-run")
    chart = gr.Plot(label="Cosine by score", visible=False, elem_id="pairs-chart")
    out = gr.HTML(elem_id="pairs-out", label="Results of your pairs")
    table = gr.DownloadButton("Download every pair with both cosines (CSV)", visible=False, elem_id="pairs-table")
    ask([run.click], answer, [file, context.adapter], [out, table, chart], **LONG)
    grey_out([context.adapter.change], [out], [table, chart])
