"""Two sentences, both models' cosines; and many at once."""

from collections.abc import Callable

import gradio as gr

from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.codes import build_shared_parts
from sempa.ui.events import LANE, PRIVATE, for_people
from sempa.ui.links import Links
from sempa.ui.matrix import build_matrix
from sempa.ui.present import similarity_cards

EXAMPLES = [
    ["The musicians packed up before the rain began.", "The band put its instruments away while it was still dry."],
    ["The bridge is open to lorries.", "The bridge is not open to lorries."],
    ["The hare outran the hound.", "The hound outran the hare."],
    ["He kicked the bucket last spring.", "He died a few months ago."],
    ["She deposited the cheque at the bank.", "She sat down on the bank of the river."],
]
"""Paraphrase without common words, negation, roles swapped, idiom, one word with two meanings."""


def compare_sentences(studio: Studio, first: str, second: str) -> str:
    """Return both models' cosines as cards."""
    cosines = studio.similarity(first, second)
    return similarity_cards(cosines, studio.percentiles(cosines), studio.adapter)


SendPair = Callable[[gr.HTML, gr.Textbox], None]
"""Takes cards with buttons and the sentence they belong to: a button's text and the sentence are compared here."""


def build_similarity_tab(adapters: Adapters, adapter: gr.Dropdown, tabs: gr.Tabs, links: Links) -> SendPair:
    """Put the tab's widgets and events into the page under construction; return how others send a pair here."""
    first, second = EXAMPLES[0]

    @for_people
    def answer(a: str, b: str, adapter: str) -> str:
        return compare_sentences(adapters.choose(adapter), a, b)

    gr.Markdown("How alike are two sentences, to the base model and to the aligned one?")
    with gr.Row():
        a = gr.Textbox(first, label="Sentence A", lines=2, elem_id="similarity-a")
        b = gr.Textbox(second, label="Sentence B", lines=2, elem_id="similarity-b")
    links.add("similarity", a=a, b=b)
    run = gr.Button("Compare", variant="primary", elem_id="similarity-run")
    out = gr.HTML(compare_sentences(adapters.choose(), first, second), elem_id="similarity-out", label="Cosines")
    gr.on([run.click, a.submit, b.submit, adapter.input], answer, [a, b, adapter], out, **LANE, **PRIVATE)
    examples = gr.Examples(EXAMPLES, [a, b], label="Try: where meaning and words part", **PRIVATE)
    examples.load_input_event.then(answer, [a, b, adapter], out, **LANE, **PRIVATE)
    build_shared_parts(adapters, adapter, a, b)
    build_matrix(adapters, adapter)

    def send(cards: gr.HTML, sentence: gr.Textbox) -> None:
        def taken(event: gr.SelectData, text: str) -> tuple[str, str, dict[str, object]]:
            return text, event.value, gr.update(selected="similarity")

        pressed = cards.select(taken, sentence, [a, b, tabs], **PRIVATE)
        pressed.then(answer, [a, b, adapter], out, **LANE, **PRIVATE)

    return send
