"""Small pictures as SVG: no library in the page, readable in light and dark, told in words to screen readers."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Point = tuple[float, float]

WIDTH, HEIGHT, EDGE = 320, 240, 12


def scatter(points: Mapping[str, Sequence[Point]], told: str) -> str:
    """Return points in groups as one picture, each group a class of its own (`sp-g0`, `sp-g1`, ...) and a legend.

    Both axes are scaled to the points; `told` says in words what is seen.
    """
    every = [point for group in points.values() for point in group]
    if not every:
        return ""
    (left, right), (low, high) = (_range([point[axis] for point in every]) for axis in (0, 1))
    marks = []
    for number, group in enumerate(points.values()):
        for x, y in group:
            across = EDGE + (WIDTH - 2 * EDGE) * (x - left) / (right - left)
            down = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (y - low) / (high - low)
            marks.append(f'<circle class="sp-g{number}" cx="{across:.1f}" cy="{down:.1f}" r="2.6"/>')
    legend = "".join(
        f'<span><i class="sp-g{number}"></i>{escape(name)}</span>' for number, name in enumerate(points) if name
    )
    return (
        f'<svg class="sp-plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{"".join(marks)}'
        f'</svg><div class="sp-legend">{legend}</div>'
    )


def curve(lines: Sequence[Sequence[Point]], told: str, *, dots: bool = False) -> str:
    """Return points joined to a line (or as dots on it) for each of `lines`, lowest and highest value at the left edge.

    `told` says in words what is seen.
    """
    every = [point for line in lines for point in line]
    if not every:
        return ""
    (left, right), (low, high) = (_range([point[axis] for point in every]) for axis in (0, 1))
    marks = []
    for line in lines:
        places = [
            (
                EDGE + (WIDTH - 2 * EDGE) * (x - left) / (right - left),
                HEIGHT / 2 - EDGE - (HEIGHT / 2 - 2 * EDGE) * (y - low) / (high - low),
            )
            for x, y in line
        ]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        marks.append(f'<polyline class="sp-line" points="{path}"/>')
        if dots:
            marks += [f'<circle class="sp-g0" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in places]
    values = [y for _, y in every]
    return (
        f'<svg class="sp-plot" viewBox="0 0 {WIDTH} {HEIGHT // 2}" role="img" aria-label="{escape(told)}">'
        f'{"".join(marks)}<text x="3" y="10">{max(values):.4g}</text>'
        f'<text x="3" y="{HEIGHT // 2 - 3}">{min(values):.4g}</text></svg>'
    )


def lines_plot(lines: Mapping[str, Sequence[Point]], told: str) -> str:
    """Return several lines on one pair of axes, across on a logarithmic scale, each a class of its own and a legend.

    `told` says in words what is seen.
    """
    every = [(math.log(x), y) for line in lines.values() for x, y in line]
    if not every:
        return ""
    (left, right), (low, high) = (_range([point[axis] for point in every]) for axis in (0, 1))
    marks = []
    for number, line in enumerate(lines.values()):
        places = [
            (
                EDGE + (WIDTH - 2 * EDGE) * (math.log(x) - left) / (right - left),
                HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (y - low) / (high - low),
            )
            for x, y in line
        ]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        marks.append(f'<polyline class="sp-l{number}" points="{path}"/>')
        marks += [f'<circle class="sp-g{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in places]
    edges = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{value:,.4g}</text>'
        for x, y, anchor, value in (
            (3, 10, "start", high),
            (3, HEIGHT - 3, "start", low),
            (WIDTH - 3, HEIGHT - 3, "end", math.exp(right)),
        )
    )
    legend = "".join(f'<span><i class="sp-g{number}"></i>{escape(name)}</span>' for number, name in enumerate(lines))
    return (
        f'<svg class="sp-plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{"".join(marks)}'
        f'{edges}</svg><div class="sp-legend">{legend}</div>'
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


PLOTTED = {
    "loss": "Loss",
    "rewards/margins": "Margin of the preferred answer (beta x nats)",
    "contrastive/accuracies": "Share whose entailment is nearest",
    "kl/divergence": "Divergence from the base on text (nats a token)",
    "score": "Score on the development pairs",
}
"""What of a run is drawn, where it has it."""


def run_curves(runs: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Return a card for each of PLOTTED that the runs' steps have, over the pairs seen, with a curve of each run."""
    drawn = []
    for name, label in PLOTTED.items():
        lines = [[(step["samples"], step[name]) for step in steps if name in step] for steps in runs]
        if lines := [line for line in lines if line]:
            ends = ", ".join(f"{line[-1][1]:.4g}" for line in lines)
            told = f"{label}: {ends} after {max(line[-1][0] for line in lines):,} pairs"
            picture = curve(lines, told, dots=name == "score")
            drawn.append(
                f'<div role="group" class="sp-card sempa"><div class="sp-note">{escape(told)}</div>{picture}</div>'
            )
    return f'<div class="sp-grid">{"".join(drawn)}</div>' if drawn else ""
