"""Sparse codes as HTML: the parts that match a query, and the features two sentences share."""

from collections.abc import Mapping, Sequence
from html import escape

import gradio as gr

from sempa.config import FEATURES, WORDS
from sempa.service.studio import Studio
from sempa.sparse.search import Part, SparsePair
from sempa.ui.events import Context, ask, grey_out
from sempa.ui.present import grid, note

SHOWN = 6
"""Parts named individually; the others are shown as one sum."""
KINDS = [("Words of the vocabulary", WORDS), ("Learned features", FEATURES)]


def matched_parts(parts: Sequence[Part]) -> str:
    """Return the parts that add up to a hit's score."""
    return _parts(parts, "matched")


def shared_cards(found: Mapping[str, SparsePair], adapter: str) -> str:
    """Return the shared and unshared parts of two sentences' codes under each model."""
    return grid({variant: _pair_body(pair) for variant, pair in found.items()}, adapter)


def _pair_body(pair: SparsePair) -> str:
    return (
        f'<div class="sp-figure">{min(pair.cosine, 1):.3f}</div>'
        f"{note('cosine of the codes: the sum of the shared features')}"
        f"{_parts(pair.shared, 'shared')}{_parts(pair.first, 'A alone', adds_up=False)}"
        f"{_parts(pair.second, 'B alone', adds_up=False)}"
    )


def _parts(parts: Sequence[Part], label: str, *, adds_up: bool = True) -> str:
    """Return parts as chips with their sizes, largest first; a feature's tooltip lists its texts.

    Parts of a score add up; unshared activations do not.
    """
    chips = []
    for part in parts[:SHOWN]:
        texts = f' title="{escape("most active in: " + " | ".join(part.texts))}"' if part.texts else ""
        chips.append(f'<span class="sp-part"{texts}>{escape(part.label)} <b>{part.size:.3f}</b></span>')
    if rest := parts[SHOWN:]:
        total = f" <b>{sum(part.size for part in rest):.3f}</b>" if adds_up else ""
        chips.append(f'<span class="sp-part">{len(rest)} more{total}</span>')
    return f'<div class="sp-parts"><span>{label}</span>{"".join(chips) or "<em>nothing</em>"}</div>'


def shared_parts_of(studio: Studio, first: str, second: str, kind: str) -> str:
    """Return both models' shared and unshared parts of two sentences as cards."""
    return shared_cards(studio.compare_codes(first, second, kind), studio.adapter)


def build_shared_parts(context: Context, first: gr.Textbox, second: gr.Textbox) -> None:
    """Add the part's widgets and events to the page."""

    def answer(a: str, b: str, kind: str, adapter: str) -> str:
        return shared_parts_of(context.adapters.choose(adapter), a, b, kind)

    coded = context.adapters.coded
    with gr.Accordion("Why? Features both sentences share", open=False, visible=coded, elem_id="parts"):
        gr.Markdown(
            "Each sentence as a few readable features: the vocabulary words nearest to its vector, or its strongest "
            "learned features, named after typical words of the texts that activate them."
        )
        kind = gr.Radio(KINDS, value=FEATURES, label="Parts", elem_id="parts-kind")
        run = gr.Button("Show shared features", elem_id="parts-run")
        out = gr.HTML(elem_id="parts-out", label="Shared features")
        ask([run.click, kind.input], answer, [first, second, kind, context.adapter], out)
        grey_out([context.adapter.change], [out])
