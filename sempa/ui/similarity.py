"""The Similarity tab: both models' cosines of two sentences, or of many."""

from typing import Any

import gradio as gr

from sempa.service.studio import Studio
from sempa.ui.codes import build_shared_parts
from sempa.ui.downloads import offered
from sempa.ui.events import PRIVATE, Context, ask, examples
from sempa.ui.matrix import build_matrix
from sempa.ui.plots import random_pairs
from sempa.ui.present import similarity_cards

EXAMPLES = [
    ["The musicians packed up before the rain began.", "The band put its instruments away while it was still dry."],
    ["The bridge is open to lorries.", "The bridge is not open to lorries."],
    ["The hare outran the hound.", "The hound outran the hare."],
    ["He kicked the bucket last spring.", "He died a few months ago."],
    ["She deposited the cheque at the bank.", "She sat down on the bank of the river."],
]
"""A paraphrase in other words, a negation, swapped roles, an idiom, one word with two meanings."""


def compare_sentences(studio: Studio, first: str, second: str) -> tuple[str, dict[str, Any]]:
    """Return both models' cosines as cards, and the update of their plot among random pairs."""
    cosines = studio.similarity(first, second)
    crowds = studio.random_cosines
    drawn = random_pairs(crowds, {name: [cosine] for name, cosine in cosines.items() if name in crowds}, ["this pair"])
    cards = similarity_cards(cosines, studio.percentiles(cosines), studio.adapter)
    return cards, offered(drawn)


class SimilarityTab:
    """Hold the tab's widgets; other tabs send pairs to compare."""

    def __init__(self, context: Context) -> None:
        self._context = context
        first, second = EXAMPLES[0]
        gr.Markdown("How similar are two sentences, to the base model and to the aligned one?")
        with gr.Row():
            a = gr.Textbox(first, label="Sentence A", elem_id="similarity-a")
            b = gr.Textbox(second, label="Sentence B", elem_id="similarity-b")
        self._pair = [a, b]
        context.links.add("similarity", a=a, b=b)
        run = gr.Button("Compare", variant="primary", elem_id="similarity-run")
        view, drawn = compare_sentences(context.studio, first, second)
        out = gr.HTML(view, elem_id="similarity-out", label="Cosines")
        plot = gr.Plot(
            drawn["value"],
            visible=drawn["visible"],
            label="The pair among random pairs of sentences",
            elem_id="similarity-plot",
        )
        self._shown = [out, plot]
        tried = examples(EXAMPLES, self._pair, "Try a tricky pair")
        self._answer_on([run.click, a.submit, b.submit, context.adapter.change], [tried])
        build_shared_parts(context, a, b)
        build_matrix(context)

    def take(self, cards: gr.HTML, sentence: gr.Textbox) -> None:
        """Compare a sentence with the text of a button pressed in `cards`."""

        def taken(event: gr.SelectData, text: str) -> tuple[str, str, dict[str, object]]:
            return text, event.value, gr.update(selected="similarity")

        sent = cards.select(taken, sentence, [*self._pair, self._context.tabs], **PRIVATE)
        self._answer_on([], [sent])

    def _answer_on(self, events: list[object], after: list[object]) -> None:
        def answer(a: str, b: str, adapter: str) -> tuple[str, dict[str, Any]]:
            return compare_sentences(self._context.adapters.choose(adapter), a, b)

        ask(events, answer, [*self._pair, self._context.adapter], self._shown, after)
