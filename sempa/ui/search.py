"""The Search tab: one query and both models' nearest texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from sempa.config import FEATURES, WORDS
from sempa.embedding.projection import NEAREST
from sempa.embedding.ranking import RankedHit
from sempa.errors import InputError
from sempa.service.studio import Studio
from sempa.ui.codes import matched_parts
from sempa.ui.downloads import csv_file, offered
from sempa.ui.events import LONG, PRIVATE, SEND, Context, ask, examples, grey_out, slider
from sempa.ui.own_index import build_own_index, visitor_of, visitor_state
from sempa.ui.present import button, grid, hit_cards, note, say
from sempa.ui.slope import slope_chart, slope_words
from sempa.ui.streaming import worked

FIRST_K = 5
DISAGREEING = 10
"""Texts listed where the models disagree most."""
EXAMPLES = [
    "The actor forgot his lines.",
    "My suitcase never arrived.",
    "It will be cold and icy tonight.",
    "Nobody in the audience made a sound.",
    "Why does my code crash only on Fridays?",
]
"""The queries on which the models' hits differ most, chosen by benchmarks/search_examples.py."""
DENSE = "dense"
METHODS = [("Dense vectors", DENSE), ("Words (sparse)", WORDS), ("Learned features (sparse)", FEATURES)]
_ABOUT = {
    WORDS: "Sparse codes: a few vocabulary words stand for each text. A score is the sum of the parts shown.",
    FEATURES: "Sparse codes: a few learned features stand for each text, named after typical words of the texts "
    "that activate them. A score is the sum of the parts shown.",
}
Hits = dict[str, list[tuple[RankedHit, str]]]
"""Each model's hits, each with its explanation as HTML."""


@dataclass(frozen=True)
class Found:
    """Hold a search's answer as HTML, the path of its CSV and the chart of ranks; while it works, only HTML."""

    view: str
    table: str | None = None
    chart: PlotData | None = None

    @property
    def updates(self) -> list[Any]:
        """Return the updates of the tab's outputs."""
        return [self.view, offered(self.table), offered(self.chart)]


def find(studio: Studio, query: str, index: str, k: int, least: float = 0, method: str = DENSE) -> Iterator[Found]:
    """Yield progress while an index is first embedded, then both models' hits.

    `method` is DENSE or a kind of sparse codes. Dense hits below the percentile `least` (0..100) and texts equal to the
    query are dropped.
    """
    if studio.missing_vectors(index):
        for line, done in worked(lambda progress: studio.embed_index(index, progress)):
            if done is None:
                yield Found(say(line))
    if method == DENSE:
        hits: Hits = {name: [(hit, "") for hit in row] for name, row in studio.search(query, index, k + 1).items()}
        notes = [studio.approximation_note(index)]
    else:
        coded = studio.search_codes(query, index, k + 1, method)
        hits = {name: [(hit, matched_parts(hit.parts)) for hit in row] for name, row in coded.items()}
        notes = [_ABOUT[method]]
    if any(row and row[0][0].hit.text == query for row in hits.values()):
        hits = {name: _without(query, row) for name, row in hits.items()}
        notes.append("The query is itself in the index, so it is left out of the hits.")
    kept = {name: row[:k] for name, row in hits.items()}
    if least and method == DENSE:
        kept = {name: [hit for hit in row if _percentile(studio, name, hit[0]) >= least] for name, row in kept.items()}
    ranked = {name: [hit for hit, _ in row] for name, row in kept.items()}
    view = slope_words(ranked) + hit_cards(kept, studio.adapter) + "".join(say(line) for line in notes if line)
    yield Found(view, _table(kept, studio.adapter, query, index), slope_chart(ranked))


def disagreeing(studio: Studio, index: str) -> str:
    """Return the texts whose neighbourhoods the models share least, each with both models' nearest texts, as HTML."""
    items = []
    for found in studio.disagreements(index, DISAGREEING):
        cards = {
            variant: f'<ol class="sp-list">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ol>'
            for variant, texts in found.nearest.items()
        }
        items.append(
            f'<details class="sp-result"><summary><b>{escape(found.text)}</b> {found.shared:.0%} shared</summary>'
            f'<div class="sp-meta">{button(found.text, "More like this")}</div>{grid(cards, studio.adapter)}</details>'
        )
    about = f"Least shared first: the share of each text's {NEAREST} nearest texts that both models name."
    return note(about) + "".join(items)


def _without(query: str, hits: Sequence[tuple[RankedHit, str]]) -> list[tuple[RankedHit, str]]:
    """Drop the query itself, which both models rank first, and move the other hits up by one."""
    return [
        (RankedHit(replace(ranked.hit, rank=ranked.hit.rank - 1), ranked.other_rank and ranked.other_rank - 1), below)
        for ranked, below in hits
        if ranked.hit.text != query
    ]


def _percentile(studio: Studio, variant: str, ranked: RankedHit) -> float:
    return 100 * studio.percentiles({variant: ranked.hit.cosine}).get(variant, 1)


def _table(found: Mapping[str, Sequence[tuple[RankedHit, str]]], adapter: str, query: str, index: str) -> str:
    tags = sorted({tag for hits in found.values() for ranked, _ in hits for tag in ranked.hit.tags})
    head = ["query", "index", "model", "rank", "rank_in_other_model", "cosine", "text", *tags]
    rows = [
        [
            query,
            index.rsplit("/", 1)[-1],
            adapter if variant == "sempa" else variant,
            ranked.hit.rank,
            ranked.other_rank,
            float(ranked.hit.cosine),
            ranked.hit.text,
            *(ranked.hit.tags.get(tag, "") for tag in tags),
        ]
        for variant, hits in found.items()
        for ranked, _ in hits
    ]
    return csv_file("hits", head, rows)


def opening(studio: Studio, index: str) -> Found:
    """Return the worked example's hits, or a hint if the texts are not embedded yet."""
    if studio.missing_vectors(index):
        return Found(say("Press Search. The first search embeds all texts with this model; later ones are quick."))
    return next(find(studio, EXAMPLES[0], index, FIRST_K))


def build_search_tab(context: Context) -> tuple[gr.Dropdown, gr.Textbox]:
    """Add the tab's widgets and events to the page; return the index and the query."""
    names = context.adapters.indexes.names()

    def answer(
        request: gr.Request, query: str, index: str, k: int, least: float, method: str, adapter: str
    ) -> Iterator[list[Any]]:
        if not index:
            raise InputError("There is no index yet: build one from your own text above.")
        for found in find(context.adapters.choose(adapter), query, index, k, least, method):
            yield [*found.updates, visitor_of(request)]

    def compared(index: str, adapter: str) -> str:
        return disagreeing(context.adapters.choose(adapter), index)

    def pressed(event: gr.SelectData) -> str:
        return str(event.value)

    gr.Markdown("Which texts are nearest in meaning, and where does the other model rank them?")
    index = gr.Dropdown(names, value=next(iter(names), None), label="Index", scale=2, min_width=190,
                        elem_id="search-index", render=False)  # fmt: skip
    visitor = visitor_state(context.adapters)
    build_own_index(context, index, visitor)
    with gr.Row(equal_height=True):
        query = gr.Textbox(EXAMPLES[0], label="Query", scale=4, min_width=320, elem_id="search-query")
        index.render()
        method = gr.Dropdown(
            METHODS,
            value=DENSE,
            label="Method",
            scale=2,
            min_width=190,
            visible=context.adapters.coded,
            elem_id="search-by",
        )
    with gr.Row():
        k = slider(1, 20, FIRST_K, "Hits", min_width=240, elem_id="search-k")
        least = slider(0, 100, 0, "Minimum similarity (percentile)", min_width=240, elem_id="search-least")
    context.links.add(
        "search", names={"index": context.adapters.indexes.names}, query=query, index=index, k=k, least=least, by=method
    )
    run = gr.Button("Search", variant="primary", elem_id="search-run")
    first = opening(context.studio, names[0]) if names else Found(say("Build an index of your own text above."))
    chart = gr.Plot(first.chart, visible=first.chart is not None, label="Ranks in both models", elem_id="search-slope")
    out = gr.HTML(first.view, elem_id="search-out", label="Hits", js_on_load=SEND)
    hits = gr.DownloadButton("Download these hits (CSV)", first.table, visible=first.table is not None,
                             elem_id="search-table")  # fmt: skip
    with gr.Accordion("Where do they disagree most?", open=False, elem_id="disagree"):
        look = gr.Button("Find the texts with the least shared neighbours", elem_id="disagree-run")
        least_shared = gr.HTML(elem_id="disagree-out", label="Texts by shared neighbours", js_on_load=SEND)
    asked = [run.click, query.submit, k.release, least.release, index.change, method.input, context.adapter.change]
    sent = [part.select(pressed, None, query, **PRIVATE) for part in (out, least_shared)]
    after = [examples([[text] for text in EXAMPLES], [query]), *sent]
    ask(asked, answer, [query, index, k, least, method, context.adapter], [out, hits, chart, visitor], after)
    ask([look.click], compared, [index, context.adapter], least_shared, **LONG)
    grey_out([index.change, context.adapter.change], [least_shared])
    return index, query
