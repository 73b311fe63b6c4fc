"""One query, both models' nearest texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr

from sempa.config import FEATURES, WORDS
from sempa.embedding.ranking import RankedHit
from sempa.errors import InputError
from sempa.service.adapters import Adapters
from sempa.service.sparse_search import Coded
from sempa.service.studio import Studio
from sempa.ui.codes import coded_cards
from sempa.ui.downloads import csv_file
from sempa.ui.events import LANE, PRIVATE, SEND, for_people
from sempa.ui.links import Links
from sempa.ui.own_index import build_own_index
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
BY = [("Dense vectors", DENSE), ("Words (sparse)", WORDS), ("Learned features (sparse)", FEATURES)]
_ABOUT = {
    WORDS: "Each text is held as the words of the vocabulary its vector points at most; a score is the sum of the "
    "parts shown. The closeness slider is for dense vectors.",
    FEATURES: "Each text is held as its strongest learned features, each named by typical words of its texts; a score "
    "is the sum of the parts shown. The closeness slider is for dense vectors.",
}


@dataclass(frozen=True)
class Found:
    """Hold the view of a search and the path of its hits as a table to download, once there is one."""

    view: str
    table: str | None = None


def find(studio: Studio, query: str, index: str, k: int, least: float = 0, by: str = DENSE) -> Iterator[Found]:
    """Yield progress while an index is read for the first time with these models, then both models' hits.

    `by` is DENSE or a kind of sparse codes. Dense hits less alike to the query than `least` per cent of random pairs
    are left out.
    """
    if studio.missing_vectors(index):
        for line, done in worked(lambda progress: studio.read_index(index, progress)):
            if done is None:
                yield Found(say(line))
    if by != DENSE:
        coded = Coded(studio, by).search(query, index, k)
        ranked = {variant: [hit.ranked for hit in hits] for variant, hits in coded.items()}
        yield Found(coded_cards(coded, studio.adapter) + say(_ABOUT[by]), _table(ranked, studio.adapter))
        return
    found = studio.search(query, index, k)
    percentiles = {
        variant: [studio.percentiles({variant: ranked.hit.cosine}).get(variant) for ranked in hits]
        for variant, hits in found.items()
    }
    kept = {
        variant: [
            ranked
            for ranked, share in zip(hits, percentiles[variant], strict=True)
            if share is None or 100 * share >= least
        ]
        for variant, hits in found.items()
    }
    approximate = studio.how_searched(index)
    view = hit_cards(kept, studio.adapter) + (say(approximate) if approximate else "")
    yield Found(view, _table(kept, studio.adapter))


def _table(found: Mapping[str, Sequence[RankedHit]], adapter: str) -> str:
    head = ["model", "rank", "text", "cosine", "rank_under_the_other"]
    named = {"base": "base", "sempa": adapter}
    rows = (
        (named[variant], ranked.hit.rank, ranked.hit.text, ranked.hit.cosine, ranked.other_rank)
        for variant, hits in found.items()
        for ranked in hits
    )
    return csv_file("hits", head, rows)


def opening(studio: Studio, index: str) -> str:
    """Return the worked example's hits, or how to get them where the texts have not been read with this model."""
    if studio.missing_vectors(index):
        return say("Press Search: the texts are read with this model once, then every search is quick.")
    return hit_cards(studio.search(EXAMPLES[0], index, FIRST_K), studio.adapter)


def build_search_tab(adapters: Adapters, adapter: gr.Dropdown, page: gr.Blocks, links: Links) -> None:
    """Put the tab's widgets and events into the page under construction."""
    names = adapters.choose().index_names()

    @for_people
    def answer(
        query: str, index: str, k: int, least: float, by: str, adapter: str
    ) -> Iterator[tuple[str, dict[str, object]]]:
        if not index:
            raise InputError("There is no index yet: make one of your own text below.")
        for found in find(adapters.choose(adapter), query, index, k, least, by):
            yield found.view, gr.update(value=found.table, visible=found.table is not None)

    gr.Markdown("Which texts come nearest in meaning, and where does the other model rank them?")
    with gr.Row(equal_height=True):
        query = gr.Textbox(EXAMPLES[0], label="Query", scale=4, min_width=320, elem_id="search-query")
        index = gr.Dropdown(
            names, value=next(iter(names), None), label="Index", scale=2, min_width=190, elem_id="search-index"
        )
        by = gr.Dropdown(
            BY, value=DENSE, label="By", scale=2, min_width=190, visible=adapters.coded, elem_id="search-by"
        )
    with gr.Row():
        k = gr.Slider(1, 20, value=FIRST_K, step=1, label="Hits (k)", min_width=240, elem_id="search-k")
        least = gr.Slider(
            0, 100, value=0, step=1, label="Closer than % of random pairs", min_width=240, elem_id="search-least"
        )
    links.add(
        "search", names={"index": adapters.choose().index_names}, query=query, index=index, k=k, least=least, by=by
    )
    run = gr.Button("Search", variant="primary", elem_id="search-run")
    first = opening(adapters.choose(), names[0]) if names else say("Make an index of your own text below.")
    out = gr.HTML(first, elem_id="search-out", label="Hits", js_on_load=SEND)
    table = gr.DownloadButton("Download these hits (CSV)", visible=False, elem_id="search-table")
    asked = [run.click, query.submit, k.release, least.release, index.input, by.input, adapter.input]
    inputs, outputs = [query, index, k, least, by, adapter], [out, table]
    gr.on(asked, answer, inputs, outputs, **LANE, **PRIVATE)
    examples = gr.Examples([[text] for text in EXAMPLES], [query], label="Try", **PRIVATE)
    examples.load_input_event.then(answer, inputs, outputs, **LANE, **PRIVATE)
    out.select(_pressed, None, query, **PRIVATE).then(answer, inputs, outputs, **LANE, **PRIVATE)
    build_own_index(adapters, adapter, index, page)


def _pressed(event: gr.SelectData) -> str:
    """Return the text whose button was pressed, to be the next query."""
    return str(event.value)
