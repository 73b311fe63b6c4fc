"""Key words of one sentence: the tokens that each model finds most likely next where the embedding is taken."""

from collections.abc import Mapping, Sequence
from html import escape

import gradio as gr

from sempa.evaluation.tokens import KeyToken
from sempa.service.studio import Studio
from sempa.ui.events import Context, ask
from sempa.ui.present import grid, note

FIRST = "The harbour froze, and the fishing boats could not leave."
_MARKS = {"exact": ("●", "word of the sentence"), "stem": ("◐", "same stem"), "other": ("", "another word")}


def tokens_of(studio: Studio, sentence: str) -> str:
    """Return both models' key tokens as cards, as words."""
    return token_cards(studio.key_tokens(sentence), studio.adapter)


def token_cards(tokens: Mapping[str, Sequence[KeyToken]], adapter: str) -> str:
    """Return each model's key tokens as chips; words of the sentence are marked by colour and sign."""
    return grid({variant: _body(found) for variant, found in tokens.items()}, adapter)


def _body(tokens: Sequence[KeyToken]) -> str:
    chips = "".join(
        f'<span class="sp-token {token.match}" title="{_MARKS[token.match][1]}, score {token.score:.1f}">'
        f"{_MARKS[token.match][0]} {escape(_visible(token.text))}</span>"
        for token in tokens
    )
    own = sum(token.match != "other" for token in tokens)
    words = f"{own} of {len(tokens)} occur in the sentence. ● same word, ◐ same stem"
    return f'<div class="sp-tokens">{chips}</div>{note(words)}'


def _visible(token: str) -> str:
    """Return a token's text; white space alone is shown by signs."""
    return token if token.strip() else token.replace(" ", "␣").replace("\n", "⏎")


def build_tokens(context: Context) -> None:
    """Add the part's widgets and events to the page."""

    def answer(sentence: str, adapter: str) -> str:
        return tokens_of(context.adapters.choose(adapter), sentence)

    gr.Markdown(
        "## What a sentence means, in one word\nThe embedding is taken where the model is about to say *in one word* "
        "what the sentence means. The ten tokens it finds most likely there, as whole words where possible, show what "
        "the embedding holds."
    )
    with gr.Row(equal_height=True):
        sentence = gr.Textbox(FIRST, label="Sentence", scale=5, min_width=320, elem_id="tokens-sentence")
        run = gr.Button("Show key tokens", scale=1, min_width=160, elem_id="tokens-run")
    out = gr.HTML(tokens_of(context.studio, FIRST), elem_id="tokens-out", label="Key words")
    ask([run.click, sentence.submit, context.adapter.change], answer, [sentence, context.adapter], out)
