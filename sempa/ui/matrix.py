"""Many sentences at once: both models' matrices on one scale, their difference, and the pairs they disagree on."""

from collections.abc import Iterator
from html import escape

import gradio as gr

from sempa.service.adapters import Adapters
from sempa.service.matrix import PairMatrix
from sempa.service.studio import Studio
from sempa.ui.downloads import csv_file
from sempa.ui.events import LANE, PRIVATE, SEND, for_people
from sempa.ui.heat import matrix_view
from sempa.ui.present import say
from sempa.ui.streaming import worked
from sempa.ui.tokens import tokens_of

FIRST = """The ferry leaves at dawn.
The boat departs early in the morning.
The ferry does not leave at dawn.
The ferry was painted white last spring.
Breakfast is served from seven.
You can eat in the morning after seven o'clock."""


def compared(studio: Studio, text: str) -> Iterator[tuple[str, str | None]]:
    """Yield progress and then the view of the sentences' matrix, with the path of a table to download."""
    sentences = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    for line, done in worked(lambda progress: studio.matrix(sentences, progress)):
        if done is None:
            yield say(line), None
        else:
            yield matrix_view(done, studio.adapter), _table(done, studio.adapter)


def _table(matrix: PairMatrix, adapter: str) -> str:
    named = {variant: adapter if variant == "sempa" else variant for variant in matrix.cosines}
    head = ["sentence1", "sentence2"]
    for variant in matrix.cosines:
        head += [f"cosine_{named[variant]}", *([f"share_{named[variant]}"] if matrix.shares else [])]
    rows = []
    for i, j in matrix.pairs():
        row: list[object] = [matrix.sentences[i], matrix.sentences[j]]
        for variant, values in matrix.cosines.items():
            row += [float(values[i, j]), *([float(matrix.shares[variant][i, j])] if matrix.shares else [])]
        rows.append(row)
    return csv_file("matrix", head, rows)


def build_matrix(adapters: Adapters, adapter: gr.Dropdown) -> None:
    """Put the part's widgets and events into the page under construction."""

    @for_people
    def answer(text: str, adapter: str) -> Iterator[tuple[str, dict[str, object]]]:
        for view, table in compared(adapters.choose(adapter), text):
            yield view, gr.update(value=table, visible=table is not None)

    @for_people
    def explain(event: gr.SelectData, adapter: str) -> str:
        return (
            f'<div class="sp-note">{escape(str(event.value))}</div>{tokens_of(adapters.choose(adapter), event.value)}'
        )

    with gr.Accordion("Many sentences: every pair at once", open=False, elem_id="matrix"):
        text = gr.Textbox(FIRST, label="Sentences, one a line", lines=6, max_lines=14, elem_id="matrix-text")
        run = gr.Button("Compare all pairs", elem_id="matrix-run")
        tokens = gr.HTML(elem_id="matrix-tokens", label="Key tokens of a sentence")
        out = gr.HTML(elem_id="matrix-out", label="Matrices", js_on_load=SEND)
        table = gr.DownloadButton("Download every pair (CSV)", visible=False, elem_id="matrix-table")
        run.click(answer, [text, adapter], [out, table], **LANE, **PRIVATE)
        out.select(explain, adapter, tokens, **LANE, **PRIVATE)
