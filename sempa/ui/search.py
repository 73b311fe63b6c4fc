"""The Search tab: one query and both models' nearest texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import gradio as gr

from sempa.config import FEATURES, WORDS
from sempa.embedding.ranking import RankedHit
from sempa.errors import InputError
from sempa.service.studio import Studio
from sempa.ui.codes import matched_parts
from sempa.ui.downloads import csv_file, offered
from sempa.ui.events import PRIVATE, SEND, Context, ask, examples, slider
from sempa.ui.own_index import build_own_index, visitor_of, visitor_state
from sempa.ui.present import hit_cards, say
from sempa.ui.streaming import worked

FIRST_K = 5
EXAMPLES = [
    "Wind and rain are on the way.",
    "Why does my code crash only on Fridays?",
    "The goalkeeper saved the match.",
    "The trip was cancelled and I want my money back.",
    "Nobody in the audience made a sound.",
]
DENSE = "dense"
METHODS = [("Dense vectors", DENSE), ("Words (sparse)", WORDS), ("Learned features (sparse)", FEATURES)]
_ABOUT = {
    WORDS: "Sparse codes: a few vocabulary words stand for each text. A score is the sum of the parts shown.",
    FEATURES: "Sparse codes: a few learned features stand for each text, named after typical words of the texts "
    "that activate them. A score is the sum of the parts shown.",
}
Hits = dict[str, list[tuple[RankedHit, str]]]
"""Each model's hits, each with its explanation as HTML."""


def find(
    studio: Studio, query: str, index: str, k: int, least: float = 0, method: str = DENSE
) -> Iterator[tuple[str, str | None]]:
    """Yield progress while an index is first embedded, then both models' hits and the path of their CSV.

    `method` is DENSE or a kind of sparse codes. Dense hits below the percentile `least` (0..100) and texts equal to the
    query are dropped.
    """
    if studio.missing_vectors(index):
        for line, done in worked(lambda progress: studio.embed_index(index, progress)):
            if done is None:
                yield say(line), None
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
    view = hit_cards(kept, studio.adapter) + "".join(say(line) for line in notes if line)
    yield view, _table(kept, studio.adapter, query, index)


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


def opening(studio: Studio, index: str) -> tuple[str, str | None]:
    """Return the worked example's hits and table, or a hint if the texts are not embedded yet."""
    if studio.missing_vectors(index):
        return say("Press Search. The first search embeds all texts with this model; later ones are quick."), None
    return next(find(studio, EXAMPLES[0], index, FIRST_K))


def build_search_tab(context: Context) -> None:
    """Add the tab's widgets and events to the page."""
    names = context.adapters.indexes.names()

    def answer(
        request: gr.Request, query: str, index: str, k: int, least: float, method: str, adapter: str
    ) -> Iterator[tuple[str, dict[str, object], str]]:
        if not index:
            raise InputError("There is no index yet: build one from your own text below.")
        for view, table in find(context.adapters.choose(adapter), query, index, k, least, method):
            yield view, offered(table), visitor_of(request)

    def pressed(event: gr.SelectData) -> str:
        return str(event.value)

    gr.Markdown("Which texts are nearest in meaning, and where does the other model rank them?")
    with gr.Row(equal_height=True):
        query = gr.Textbox(EXAMPLES[0], label="Query", scale=4, min_width=320, elem_id="search-query")
        index = gr.Dropdown(
            names, value=next(iter(names), None), label="Index", scale=2, min_width=190, elem_id="search-index"
        )
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
    view, table = opening(context.studio, names[0]) if names else (say("Build an index of your own text below."), None)
    out = gr.HTML(view, elem_id="search-out", label="Hits", js_on_load=SEND)
    hits = gr.DownloadButton("Download these hits (CSV)", table, visible=table is not None, elem_id="search-table")
    asked = [run.click, query.submit, k.release, least.release, index.change, method.input, context.adapter.change]
    after = [examples([[text] for text in EXAMPLES], [query]), out.select(pressed, None, query, **PRIVATE)]
    visitor = visitor_state(context.adapters)
    ask(asked, answer, [query, index, k, least, method, context.adapter], [out, hits, visitor], after)
    build_own_index(context, index, visitor)
