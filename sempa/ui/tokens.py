"""One sentence, and the words of the vocabulary each model's embedding of it points at."""

import gradio as gr

from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.events import LANE, PRIVATE, for_people
from sempa.ui.evidence import token_cards

FIRST = "The harbour froze, and the fishing boats could not leave."


def tokens_of(studio: Studio, sentence: str) -> str:
    """Return both models' key tokens as cards."""
    return token_cards(studio.key_tokens(sentence), studio.adapter)


def build_tokens(adapters: Adapters, adapter: gr.Dropdown) -> None:
    """Put the part's widgets and events into the page under construction."""

    @for_people
    def answer(sentence: str, adapter: str) -> str:
        return tokens_of(adapters.choose(adapter), sentence)

    gr.Markdown(
        "## Key tokens\nThe vocabulary's ten likeliest next words at the very state the embedding is read from: what "
        "the model would say the sentence means *in one word*."
    )
    sentence = gr.Textbox(FIRST, label="Sentence", elem_id="tokens-sentence")
    run = gr.Button("Show key tokens", elem_id="tokens-run")
    out = gr.HTML(tokens_of(adapters.choose(), FIRST), elem_id="tokens-out", label="Key tokens")
    gr.on([run.click, sentence.submit, adapter.change], answer, [sentence, adapter], out, **LANE, **PRIVATE)
