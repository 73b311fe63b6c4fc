"""One query, both models' nearest texts."""

from collections.abc import Iterator

import gradio as gr

from sempa.studio import Studio, Studios
from sempa.ui.events import LANE, PRIVATE, for_people
from sempa.ui.present import hit_cards, say

FIRST_K = 5
EXAMPLES = [
    "Wind and rain are on the way.",
    "Why does my code crash only on Fridays?",
    "The goalkeeper saved the match.",
    "The trip was cancelled and I want my money back.",
    "Nobody in the audience made a sound.",
]


def find(studio: Studio, query: str, index: str, k: int) -> Iterator[str]:
    """Yield progress while an index is read for the first time with these models, then both models' hits."""
    if missing := studio.missing_vectors(index):
        count = len(studio.index(index))
        yield say(f"First search in {index!r} with this model: reading {count:,} texts ({' and '.join(missing)}) …")
    yield hit_cards(studio.search(query, index, k), studio.adapter)


def opening(studio: Studio, index: str) -> str:
    """Return the worked example's hits, or how to get them where the texts have not been read with this model."""
    if studio.missing_vectors(index):
        return say("Press Search: the texts are read with this model once, then every search is quick.")
    return hit_cards(studio.search(EXAMPLES[0], index, FIRST_K), studio.adapter)


def build_search_tab(studios: Studios, adapter: gr.Dropdown) -> None:
    """Put the tab's widgets and events into the page under construction."""
    names = studios.choose().index_names()
    if not names:
        gr.Markdown("There is no index yet. Build one: `python -m sempa index NAME --texts FILE`.")
        return

    @for_people
    def answer(query: str, index: str, k: int, adapter: str) -> Iterator[str]:
        yield from find(studios.choose(adapter), query, index, k)

    gr.Markdown("Which texts come nearest in meaning, and where does the other model rank them?")
    with gr.Row(equal_height=True):
        query = gr.Textbox(EXAMPLES[0], label="Query", scale=4, elem_id="search-query")
        index = gr.Dropdown(names, value=names[0], label="Index", scale=1, elem_id="search-index")
        k = gr.Slider(1, 20, value=FIRST_K, step=1, label="Hits (k)", scale=1, elem_id="search-k")
    run = gr.Button("Search", variant="primary", elem_id="search-run")
    out = gr.HTML(opening(studios.choose(), names[0]), elem_id="search-out", label="Hits")
    asked = [run.click, query.submit, k.release, index.input, adapter.input]
    inputs = [query, index, k, adapter]
    gr.on(asked, answer, inputs, out, **LANE, **PRIVATE)
    examples = gr.Examples([[text] for text in EXAMPLES], [query], label="Try", **PRIVATE)
    examples.load_input_event.then(answer, inputs, out, **LANE, **PRIVATE)
