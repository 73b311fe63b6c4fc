"""Matrices as heat maps: a table with figures while they can be read, a picture beyond."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

from sempa.service.matrix import PairMatrix, Square
from sempa.ui.present import MODEL_NAMES, scrollable

READABLE = 10
"""Sentences up to which every cell shows its figure."""
SHOWN = 20
"""Pairs listed below the maps."""


def matrix_view(matrix: PairMatrix, adapter: str) -> str:
    """Return both models' maps on one scale, their difference, and the pairs the models disagree on most."""
    notes = {"base": "adapter off", "sempa": f"adapter {adapter}"}
    maps = [
        _map(f"{MODEL_NAMES[variant]} <small>{escape(notes[variant])}</small>", variant, values, "viridis", 0)
        for variant, values in matrix.scaled.items()
    ]
    moved = matrix.difference
    if moved is not None:
        maps.append(_map("SemPA minus Base", "difference", moved, "PuOr", -1))
    scale = (
        "share of random pairs of demo sentences that are less alike"
        if matrix.shares
        else "rank among these pairs: this model has no background to compare with"
    )
    return (
        f'{_sentences(matrix.sentences)}<div class="sp-grid">{"".join(maps)}</div><div class="sp-note">Cells: {scale}, '
        f"in per cent, so that both models stand on one scale.</div>{_pairs(matrix)}"
    )


def _map(name: str, kind: str, values: Square, colours: str, low: int) -> str:
    body = _cells(values, colours, low) if len(values) <= READABLE else _picture(values, colours, low)
    return f'<div role="group" class="sp-card {kind}"><div class="sp-name">{name}</div>{body}</div>'


def _cells(values: Square, colours: str, low: int) -> str:
    painted = _paint(values, colours, low)
    dark = painted.mean(axis=2) < 140
    rows = "".join(
        f"<tr><th scope='row'>{i + 1}</th>"
        + "".join(
            f'<td style="background:rgb({",".join(map(str, painted[i, j]))});color:{"#fff" if dark[i, j] else "#111"}">'
            f"{round(100 * value)}</td>"
            for j, value in enumerate(row)
        )
        + "</tr>"
        for i, row in enumerate(values.tolist())
    )
    head = "".join(f"<th scope='col'>{number}</th>" for number in range(1, len(values) + 1))
    return scrollable(f'<table class="sp-heat"><tr><td></td>{head}</tr>{rows}</table>')


def _picture(values: Square, colours: str, low: int) -> str:
    from matplotlib.image import imsave

    held = io.BytesIO()
    imsave(held, _paint(values, colours, low), format="png")
    encoded = base64.b64encode(held.getvalue()).decode()
    told = f"Heat map of {len(values)} by {len(values)} sentences; the figures are in the table to download"
    return f'<img class="sp-heat" alt="{told}" src="data:image/png;base64,{encoded}">'


def _paint(values: Square, colours: str, low: int) -> np.ndarray:
    """Return (N, N, 3) colours, 0..255, of values from `low` (0 or -1) to 1."""
    from matplotlib import colormaps

    painted: np.ndarray = colormaps[colours]((values - low) / (1 - low), bytes=True)[..., :3]
    return painted


def _sentences(sentences: Sequence[str]) -> str:
    items = "".join(
        f'<li>{escape(sentence)} <button type="button" class="sp-send" data-text="{escape(sentence)}">'
        "key tokens</button></li>"
        for sentence in sentences
    )
    closed = "" if len(sentences) <= READABLE else f"<summary>The {len(sentences)} sentences</summary>"
    listed = f'<ol class="sp-numbered">{items}</ol>'
    return f"<details>{closed}{listed}</details>" if closed else listed


def _pairs(matrix: PairMatrix) -> str:
    rows = []
    for i, j in matrix.pairs()[:SHOWN]:
        cells = "".join(
            f"<td>{values[i, j]:.3f}<br><small>{100 * matrix.scaled[variant][i, j]:.0f}</small></td>"
            for variant, values in matrix.cosines.items()
        )
        pair = f"{escape(matrix.sentences[i])}<br>{escape(matrix.sentences[j])}"
        rows.append(f"<tr><td>{pair}</td>{cells}</tr>")
    heads = "".join(f"<th scope='col'>{MODEL_NAMES[variant]}</th>" for variant in matrix.cosines)
    caption = "Pairs, those the models disagree on most first: cosine, and below it the place on the scale above"
    return scrollable(
        f'<table class="sp-table"><caption>{caption}</caption><thead><tr>'
        f"<th scope='col'>pair</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
