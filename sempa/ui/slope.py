"""The rank slope chart: lines join each text's places in the two models' rankings."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gradio.components.plot import PlotData

from sempa.embedding.ranking import RankedHit
from sempa.ui.plots import COLOURS, figure
from sempa.ui.present import MODEL_NAMES, note

SMALL = 3
"""Moves of up to this many places stay grey: they say little."""
QUIET = "#94a3b8"
LABEL, ROW = 44, 27
"""Characters of a text beside the chart; pixels per place."""
Ranks = dict[str, tuple[int | None, int | None]]
"""Each text's rank in base and in SemPA; None below the ranks that an approximate search looks through."""


def ranks(found: Mapping[str, Sequence[RankedHit]]) -> Ranks:
    """Return the ranks of every text that either model has among its hits."""
    of: Ranks = {ranked.hit.text: (ranked.other_rank, ranked.hit.rank) for ranked in found.get("sempa", ())}
    return {ranked.hit.text: (ranked.hit.rank, ranked.other_rank) for ranked in found.get("base", ())} | of


def slope_chart(found: Mapping[str, Sequence[RankedHit]]) -> PlotData | None:
    """Draw each text's line from its place in base to its place in SemPA; None without two models' hits.

    Texts that a model does not have among its hits stand below them, with their ranks.
    """
    of = ranks(found)
    if len(found) < 2 or not of:
        return None
    places = [_places(of, side) for side in (0, 1)]
    traces = []
    for text, pair in of.items():
        ends = [places[side][text] for side in (0, 1)]
        words = f"{escape(text[:160])}<br>{_words(pair)}<extra></extra>"
        for axis in ("y", "y2")[: 1 + (text == next(iter(of)))]:  # the second axis needs a trace to be drawn
            traces.append(
                {"x": [0, 1], "y": ends, "yaxis": axis, "mode": "lines+markers", "hovertemplate": words,
                 "line": {"color": _colour(pair), "width": 3 if _large(pair) else 1.2},
                 "marker": {"color": _colour(pair), "size": 8}}
            )  # fmt: skip
    depth = max(max(side.values()) for side in places)
    axes = {
        name: {"range": [depth + 0.5, 0.5], "showgrid": False, "ticks": "", "fixedrange": True, **_labels(of, side, at)}
        for side, (name, at) in enumerate(zip(("yaxis", "yaxis2"), places, strict=True))
    }
    axes["yaxis2"] |= {"side": "right", "overlaying": "y"}
    across = {"range": [-0.04, 1.04], "tickvals": [0, 1], "ticktext": [*MODEL_NAMES.values()], "side": "top",
              "showgrid": False, "fixedrange": True}  # fmt: skip
    return figure(traces, xaxis=across, **axes, height=70 + ROW * depth, showlegend=False, hovermode="closest")


def slope_words(found: Mapping[str, Sequence[RankedHit]]) -> str:
    """Return the large moves in words: the chart's text alternative."""
    of = ranks(found)
    if len(found) < 2 or not of:
        return ""
    moved = [f"“{text[:80]}” is {_words(pair)}" for text, pair in of.items() if _large(pair)]
    if not moved:
        return note(f"No text moves more than {SMALL} places.")
    head = f"Moves of more than {SMALL} places, in words"
    return f'<details class="sp-result"><summary>{head}</summary>{note("; ".join(moved) + ".")}</details>'


def _places(of: Ranks, side: int) -> dict[str, int]:
    """Return each text's row in one model's column, from 1: in the order of ranks, without gaps."""
    order = sorted(of, key=lambda text: of[text][side] or float("inf"))
    return {text: row for row, text in enumerate(order, start=1)}


def _labels(of: Ranks, side: int, places: Mapping[str, int]) -> dict[str, Any]:
    texts = sorted(places, key=lambda text: places[text])
    cut = [text if len(text) <= LABEL else f"{text[: LABEL - 1].rstrip()}…" for text in texts]
    named = [f"{_number(of[text][side])} {escape(short)}" for text, short in zip(texts, cut, strict=True)]
    return {"tickvals": [places[text] for text in texts], "ticktext": named}


def _number(rank: int | None) -> str:
    return f"{rank:,}." if rank else "beyond 1,000."


def _large(pair: tuple[int | None, int | None]) -> bool:
    before, after = pair
    return before is None or after is None or abs(before - after) > SMALL


def _colour(pair: tuple[int | None, int | None]) -> str:
    """Return the colour of the model that ranks a text much higher, grey for small moves."""
    before, after = (rank or float("inf") for rank in pair)
    return QUIET if not _large(pair) else COLOURS["sempa" if after < before else "base"]


def _words(pair: tuple[int | None, int | None]) -> str:
    told = [f"{_number(rank).rstrip('.')} in {name}" for rank, name in zip(pair, MODEL_NAMES.values(), strict=True)]
    return ", ".join(told)
