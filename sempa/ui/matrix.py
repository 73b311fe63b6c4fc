"""Matrix of many sentences: both models' heat maps, their difference, and the pairs they disagree on."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from sempa.service.limits import lines_of
from sempa.service.matrix import PairMatrix, Square
from sempa.service.studio import Studio
from sempa.ui.downloads import csv_file, offered
from sempa.ui.events import Context, ask, grey_out
from sempa.ui.plots import figure
from sempa.ui.present import MODEL_NAMES, note, pair_table
from sempa.ui.streaming import tabled

FIRST = """The ferry leaves at dawn.
The boat departs early in the morning.
The ferry does not leave at dawn.
The ferry was painted white last spring.
Breakfast is served from seven.
You can eat in the morning after seven o'clock."""
READABLE = 10
"""Maximum sentences for which cells show their figures."""
SHOWN = 20
"""Pairs listed below the maps."""
DIFFERENCE = [[0, "#7c3aed"], [0.5, "#f8fafc"], [1, "#ea580c"]]
MAPS = (*MODEL_NAMES.values(), "SemPA minus Base")


def compared(studio: Studio, text: str) -> Iterator[tuple[Any, ...]]:
    """Compare the lines of a text: yield progress, then the pairs as HTML, the CSV's path and the heat maps."""
    sentences = list(dict.fromkeys(lines_of(text)))

    def view(matrix: PairMatrix) -> tuple[Any, ...]:
        return _words(matrix), offered(_table(matrix, studio.adapter)), *maps(matrix)

    return tabled(lambda progress: studio.matrix(sentences, progress), view, 2 + len(MAPS))


def maps(matrix: PairMatrix) -> list[dict[str, Any]]:
    """Return the updates of the heat maps: each model's, on one scale, then their difference."""
    values: list[Square | None] = [matrix.scaled.get(variant) for variant in MODEL_NAMES]
    drawn = [None if square is None else _map(square, matrix.sentences, "Viridis", (0, 100)) for square in values]
    if matrix.difference is None:
        drawn.append(None)
    else:
        most = max(10.0, float(100 * abs(matrix.difference).max()))
        drawn.append(_map(matrix.difference, matrix.sentences, DIFFERENCE, (-most, most)))
    return [offered(one) for one in drawn]


def _map(values: Square, sentences: Sequence[str], colours: Any, limits: tuple[float, float]) -> PlotData:
    names = [f"{number}. {escape(sentence[:60])}" for number, sentence in enumerate(sentences, start=1)]
    every = max(1, len(names) // 10)
    numbers = {"tickvals": names[::every], "ticktext": [str(i + 1) for i in range(0, len(names), every)]}
    heat = {
        "type": "heatmap",
        "z": (100 * values).round(1).tolist(),
        "x": names,
        "y": names,
        "zmin": limits[0],
        "zmax": limits[1],
        "colorscale": colours,
        "colorbar": {"thickness": 8, "ticksuffix": "%", "outlinewidth": 0},
        "texttemplate": "%{z:.0f}" if len(names) <= READABLE else "",
        "hovertemplate": "%{y}<br>%{x}<br>%{z:.0f}%<extra></extra>",
    }
    axis = {"type": "category", "showgrid": False, **numbers}
    return figure([heat], xaxis=axis, yaxis={**axis, "autorange": "reversed"}, height=320)


def _words(matrix: PairMatrix) -> str:
    scale = (
        "percentile among random pairs, so that both models share one scale"
        if matrix.percentiles
        else "rank among these pairs, because this model has no random pairs to compare with"
    )
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in matrix.sentences)
    shown = matrix.pairs()[:SHOWN]
    cells = [
        [
            f"{values[i, j]:.3f}<br><small>{matrix.scaled[variant][i, j]:.0%}</small>"
            for variant, values in matrix.cosines.items()
        ]
        for i, j in shown
    ]
    pairs = [(matrix.sentences[i], matrix.sentences[j]) for i, j in shown]
    return (
        f"<details{' open' if len(matrix.sentences) <= READABLE else ''}><summary>The {len(matrix.sentences)} sentences"
        f'</summary><ol class="sp-numbered">{listed}</ol></details>{note(f"Cells: {scale}.")}'
        + pair_table(
            pairs,
            cells,
            [MODEL_NAMES[variant] for variant in matrix.cosines],
            "Pairs by disagreement between the models: each cosine, and below it the value in the map",
        )
    )


def _table(matrix: PairMatrix, adapter: str) -> str:
    head, values = ["sentence1", "sentence2"], []
    for variant, cosines in matrix.cosines.items():
        name = adapter if variant == "sempa" else variant
        head.append(f"cosine_{name}")
        values.append(cosines)
        if matrix.percentiles:
            head.append(f"percentile_{name}")
            values.append(matrix.percentiles[variant])
    rows = (
        [matrix.sentences[i], matrix.sentences[j], *(float(square[i, j]) for square in values)]
        for i, j in matrix.pairs()
    )
    return csv_file("matrix", head, rows)


def build_matrix(context: Context) -> None:
    """Add the part's widgets and events to the page."""

    def answer(text: str, adapter: str) -> Iterator[tuple[Any, ...]]:
        yield from compared(context.adapters.choose(adapter), text)

    with gr.Accordion("Many sentences: every pair at once", open=False, elem_id="matrix"):
        text = gr.Textbox(FIRST, label="One sentence per line", lines=6, max_lines=14, elem_id="matrix-text")
        run = gr.Button("Compare all pairs", elem_id="matrix-run")
        with gr.Row():
            heat = [gr.Plot(label=name, visible=False, min_width=300, elem_classes="sp-map") for name in MAPS]
        out = gr.HTML(elem_id="matrix-out", label="Pairs")
        pairs = gr.DownloadButton("Download every pair (CSV)", visible=False, elem_id="matrix-table")
        ask([run.click], answer, [text, context.adapter], [out, pairs, *heat])
        grey_out([context.adapter.change], [out], [pairs, *heat])
