"""Small pictures as SVG: no library in the page, readable in light and dark, told in words to screen readers."""

from collections.abc import Mapping, Sequence
from html import escape

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


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
