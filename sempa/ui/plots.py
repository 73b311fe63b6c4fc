"""Plotly figures for gr.Plot, written as JSON, so that the plotly package is not needed."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
from gradio.components.plot import PlotData
from numpy.typing import NDArray

COLOURS = {"base": "#64748b", "sempa": "#0d9488"}
"""The two models' colours, with a contrast of at least 3:1 in both themes; text inherits the page's colour."""
GRID = "#94a3b855"
Point = tuple[float, float]
Trace = dict[str, Any]


def figure(traces: Sequence[Trace], **layout: Any) -> PlotData:
    """Return traces as a value of gr.Plot; `layout` overrides the common layout by Plotly's names.

    With a `dragmode`, points can be selected.
    """
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            layout[name] = {"gridcolor": GRID, "zeroline": False, "automargin": True, **axis}
    drawn = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
        "modebar": {"bgcolor": "rgba(0,0,0,0)"},
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
        **layout,
    }
    config: dict[str, Any] = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}
    if "dragmode" in layout:
        config = {"displaylogo": False, "displayModeBar": True, "scrollZoom": True}
    return PlotData(type="plotly", plot=json.dumps({"data": list(traces), "layout": drawn, "config": config}))


def points(points: Sequence[Point], name: str, colour: str, mode: str = "markers", **more: Any) -> Trace:
    """Return points (x, y) as one trace; `mode` "lines" or "lines+markers" joins them."""
    x, y = ([round(point[axis], 5) for point in points] for axis in (0, 1))
    marker = {"size": 6, "opacity": 0.75}
    return {"x": x, "y": y, "name": escape(name), "mode": mode, "marker": {**marker, "color": colour},
            "line": {"color": colour, "width": 1.8}, **more}  # fmt: skip


BINS = 60
"""Bars of a histogram of cosines from -0.2 to 1."""
_CROWD = {"base": "rgba(100, 116, 139, .35)", "sempa": "rgba(13, 148, 136, .35)"}
_MARKS = ("circle", "diamond", "square", "triangle-up", "x", "cross")


def random_pairs(
    crowds: Mapping[str, NDArray[np.float32]], cosines: Mapping[str, Sequence[float]], labels: Sequence[str]
) -> PlotData | None:
    """Plot each model's cosines of random pairs as a histogram, with the labelled pairs as marks, on one axis.

    Return None without random pairs.
    """
    if not cosines:
        return None
    traces: list[Trace] = []
    axes: dict[str, Any] = {}
    for number, (variant, values) in enumerate(cosines.items(), start=1):
        counts, edges = np.histogram(crowds[variant], BINS, (-0.2, 1))
        place = {"xaxis": "x", "yaxis": f"y{number}", "showlegend": False}
        heights = (counts / max(counts.max(), 1)).round(3).tolist()
        middles = ((edges[1:] + edges[:-1]) / 2).astype(float).round(3).tolist()
        bars = {"x": middles, "y": heights, "type": "bar", "marker": {"color": _CROWD[variant]}, "hoverinfo": "skip"}
        traces.append({**bars, "name": "random pairs", **place})
        for which, (value, label) in enumerate(zip(values, labels, strict=True)):
            mark = {"size": 11, "symbol": _MARKS[which % len(_MARKS)], "color": COLOURS[variant]}
            shown: Trace = {"marker": mark, "hovertemplate": "%{x:.3f}", **place, "showlegend": number == 1}
            traces.append(points([(float(value), 0.5)], label, COLOURS[variant], **shown))
        top = 1 - (number - 1) / len(cosines)
        name = {"base": "Base", "sempa": "SemPA"}[variant]
        axes[f"yaxis{number}"] = {
            "domain": [top - 1 / len(cosines) + 0.06, top],
            "title": {"text": name},
            "showticklabels": False,
        }
    across = {"title": {"text": "cosine"}, "range": [-0.2, 1.02], "anchor": f"y{len(cosines)}"}
    below = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.28, "yanchor": "top"}
    return figure(traces, xaxis=across, **axes, height=120 + 90 * len(cosines), bargap=0, legend=below)


PLOTTED = {
    "loss": "Loss",
    "rewards/margins": "Preference margin (beta x nats)",
    "contrastive/accuracies": "Share with the entailment nearest",
    "kl/divergence": "KL from the base on text (nats per token)",
    "score": "Score",
}
"""The metrics of a run to plot, if present."""


def run_curves(runs: Sequence[Sequence[Mapping[str, Any]]]) -> PlotData | None:
    """Plot each metric in PLOTTED that the runs have against pairs seen: a panel per metric, a line per run."""
    curves = _curves(runs)
    if not curves:
        return None
    traces, axes = [], {}
    for number, (name, lines) in enumerate(curves.items(), start=1):
        mode = "lines+markers" if name == "score" else "lines"
        for run, line in enumerate(lines, start=1):
            named = f"{PLOTTED[name]}, run {run}" if lines[1:] else PLOTTED[name]
            traces.append(points(line, named, COLOURS["sempa"], mode, xaxis="x", yaxis=f"y{number}"))
        top = 1 - (number - 1) / len(curves)
        title = {"text": "<br>".join(wrap(PLOTTED[name].partition(" (")[0], 18)), "font": {"size": 11}}
        axes[f"yaxis{number}"] = {"domain": [top - 1 / len(curves) + 0.04, top], "title": title, "nticks": 4}
    across = {"title": {"text": "triplets seen"}, "anchor": f"y{len(curves)}"}
    return figure(traces, xaxis=across, **axes, height=60 + 150 * len(curves), showlegend=False, hovermode="x unified")


def run_words(runs: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Describe the final values of the curves: the chart's text alternative."""
    told = []
    for name, lines in _curves(runs).items():
        ends = ", ".join(f"{line[-1][1]:.4g}" for line in lines)
        told.append(f"{PLOTTED[name]}: {ends} after {max(line[-1][0] for line in lines):,} triplets")
    return f'<p class="sp-note">{escape("; ".join(told))}.</p>' if told else ""


def score_chart(before: float, scores: Sequence[Point], total: int) -> PlotData:
    """Plot a run's scores (triplets seen, score) against the base model's, a level line up to `total` triplets."""
    traces = [
        points([(0, before), (total, before)], "Base", COLOURS["base"], "lines"),
        points([(0, before), *scores], "Adapter", COLOURS["sempa"], "lines+markers"),
    ]
    across = {"title": {"text": "triplets seen"}, "range": [0, total * 1.02]}
    return figure(traces, xaxis=across, yaxis={"title": {"text": "score"}, "nticks": 4}, height=200)


def _curves(runs: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, list[list[Point]]]:
    found = {
        name: [line for steps in runs if (line := [(s["samples"], s[name]) for s in steps if name in s])]
        for name in PLOTTED
    }
    return {name: lines for name, lines in found.items() if lines}
