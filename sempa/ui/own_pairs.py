"""A visitor's own scored pairs: both models' correlation with the scores, and where they disagree."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from sempa.evaluation.sts import MeasuredPairs
from sempa.service.adapters import Adapters
from sempa.service.limits import MAX_PAIRS
from sempa.service.studio import Studio
from sempa.ui.downloads import csv_file
from sempa.ui.events import LONG, PRIVATE, for_people
from sempa.ui.evidence import pairs_view
from sempa.ui.present import say
from sempa.ui.streaming import worked


def measured_file(studio: Studio, path: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield progress and then the view of a file of scored pairs, with the path of a table to download."""
    if not path:
        yield say("Choose a file first: CSV or TSV with the columns score, sentence1, sentence2."), None
        return
    for line, done in worked(lambda progress: studio.measure_pairs(Path(path), progress)):
        if done is None:
            yield say(line), None
        else:
            yield pairs_view(done, studio.adapter), _table(done, studio.adapter)


def _table(measured: MeasuredPairs, adapter: str) -> str:
    named = [adapter if variant == "sempa" else variant for variant in measured.cosines]
    head = ["score", "sentence1", "sentence2", *(f"cosine_{name}" for name in named)]
    pairs = measured.pairs
    columns = (pairs.scores, pairs.first, pairs.second, *(values.tolist() for values in measured.cosines.values()))
    rows = list(zip(*columns, strict=True))
    return csv_file("pairs", head, (rows[i] for i in measured.disagreement()))


def build_own_pairs(adapters: Adapters, adapter: gr.Dropdown) -> None:
    """Put the part's widgets and events into the page under construction."""

    @for_people
    def answer(path: str | None, adapter: str) -> Iterator[tuple[str, dict[str, object]]]:
        for view, table in measured_file(adapters.choose(adapter), path):
            yield view, gr.update(value=table, visible=table is not None)

    gr.Markdown(
        f"## Measure your own pairs\nA CSV or TSV with the columns `score`, `sentence1`, `sentence2`, up to "
        f"{MAX_PAIRS:,} rows. File and table are deleted after an hour."
    )
    file = gr.File(file_types=[".csv", ".tsv"], type="filepath", label="Scored pairs", height=120, elem_id="pairs-file")
    run = gr.Button("Measure both", elem_id="pairs-run")
    out = gr.HTML(elem_id="pairs-out", label="Figures of your pairs")
    table = gr.DownloadButton("Download every pair with both cosines (CSV)", visible=False, elem_id="pairs-table")
    run.click(answer, [file, adapter], [out, table], **LONG, **PRIVATE)
