"""Sparse codes as HTML: what matched a query, and what two sentences share and do not."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from sempa.config import FEATURES, WORDS
from sempa.evaluation.tables import result_table
from sempa.service.adapters import Adapters
from sempa.service.sparse_search import Coded, CodedHit, CodedPair, Part
from sempa.service.studio import Studio
from sempa.ui.events import LANE, PRIVATE, for_people
from sempa.ui.evidence import measured
from sempa.ui.plots import lines_plot
from sempa.ui.present import grid, told_cards

SHOWN = 6
"""Parts that are told one by one; the rest is told as one sum."""
KINDS = [("Words of the vocabulary", WORDS), ("Learned features", FEATURES)]


def coded_cards(found: Mapping[str, Sequence[CodedHit]], adapter: str) -> str:
    """Return each model's hits, under each of them the parts its score is the sum of."""
    return told_cards(
        {variant: [(hit.ranked, _parts(hit.parts, "matched")) for hit in hits] for variant, hits in found.items()},
        adapter,
    )


def shared_cards(found: Mapping[str, CodedPair], adapter: str) -> str:
    """Return what two sentences' codes share under each model, and what each has alone."""
    return grid({variant: _pair_body(pair) for variant, pair in found.items()}, adapter)


def _pair_body(pair: CodedPair) -> str:
    return (
        f'<div class="sp-figure">{min(pair.cosine, 1):.3f}</div><div class="sp-note">cosine of the codes: the sum of '
        f"what they share</div>{_parts(pair.shared, 'shared')}{_parts(pair.first, 'A alone', adds_up=False)}"
        f"{_parts(pair.second, 'B alone', adds_up=False)}"
    )


def _parts(parts: Sequence[Part], told: str, *, adds_up: bool = True) -> str:
    """Return parts as chips, the largest first, each with its size; a feature's texts are its tooltip.

    Parts of a score add up; activations that two codes do not share do not.
    """
    chips = []
    for part in parts[:SHOWN]:
        texts = f' title="{escape("most active in: " + " | ".join(part.texts))}"' if part.texts else ""
        chips.append(f'<span class="sp-part"{texts}>{escape(part.label)} <b>{part.size:.3f}</b></span>')
    if rest := parts[SHOWN:]:
        total = f" <b>{sum(part.size for part in rest):.3f}</b>" if adds_up else ""
        chips.append(f'<span class="sp-part">{len(rest)} more{total}</span>')
    return f'<div class="sp-parts"><span>{told}</span>{"".join(chips) or "<em>nothing</em>"}</div>'


MEASURES = {"spearman": "Spearman x100", "ndcg": "nDCG@10 x100"}


def frontier(result: Mapping[str, Any], sha256: str) -> str:
    """Return what codes keep of the base's vectors and those of the adapter with this hash: pictures and the table."""
    adapter = next(name for name, found in result["adapters"].items() if found == sha256)
    models = {name: result["models"][name] for name in ("base", adapter)}
    drawn = []
    for measure, told in MEASURES.items():
        lines, level = {}, {}
        for name, model in models.items():
            level[name] = model["dense"][measure]
            for kind in (WORDS, FEATURES):
                points = [(code["bytes_a_text"], code[measure]) for code in model["codes"] if code["coder"] == kind]
                lines[f"{name}, {kind}"] = points
        words = f"{told} by bytes a text; dense: {', '.join(f'{name} {value:.1f}' for name, value in level.items())}"
        picture = lines_plot(lines, words)
        drawn.append(f'<div role="group" class="sp-card sempa"><div class="sp-note">{words}</div>{picture}</div>')
    return f'<div class="sp-grid">{"".join(drawn)}</div>{measured(result_table({**result, "models": models}))}'


def shared_parts_of(studio: Studio, first: str, second: str, kind: str) -> str:
    """Return both models' shared and unshared parts of two sentences as cards."""
    return shared_cards(Coded(studio, kind).compare(first, second), studio.adapter)


def build_shared_parts(adapters: Adapters, adapter: gr.Dropdown, first: gr.Textbox, second: gr.Textbox) -> None:
    """Put the part's widgets and events into the page under construction."""

    @for_people
    def answer(a: str, b: str, kind: str, adapter: str) -> str:
        return shared_parts_of(adapters.choose(adapter), a, b, kind)

    with gr.Accordion("What the two share: as sparse codes", open=False, visible=adapters.coded, elem_id="parts"):
        gr.Markdown(
            "Each sentence as a few parts that can be read: the words of the vocabulary its vector points at most, or "
            "the strongest of many features learned from vectors, each named by typical words of its texts."
        )
        kind = gr.Radio(KINDS, value=FEATURES, label="Parts", elem_id="parts-kind")
        run = gr.Button("Show what they share", elem_id="parts-run")
        out = gr.HTML(elem_id="parts-out", label="Shared parts")
        gr.on([run.click, kind.input], answer, [first, second, kind, adapter], out, **LANE, **PRIVATE)
