"""Charts of measured results and the same in words: similarity, contrast by kind, and what an adapter costs."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gradio.components.plot import PlotData

from sempa.evaluation.results import BASELINES_KIND, CONTRAST_KIND, STS_KIND
from sempa.evaluation.sts import is_test
from sempa.evaluation.tables import mean_score, method_means, model_name
from sempa.evaluation.verdicts import verdict
from sempa.ui.plots import COLOURS, figure

QUIET = "#94a3b8"
"""Colour of models other than the base and its adapters."""
SCORES = {"base": "Base, cosine", "sempa": "SemPA, cosine", "preference": "SemPA, preference"}
_SYMBOLS = {"base": "circle", "sempa": "circle", "preference": "diamond-open"}
PROMPT = ", PromptEOL"
Results = Sequence[Mapping[str, Any]]
Drawn = tuple[PlotData, str]
"""A chart and its text alternative."""


def similarity_chart(results: Results) -> Drawn | None:
    """Draw the mean similarity score of base, adapters and other models as bars.

    They come from the baselines' result, without the base's other prompts; without one, base and adapter come from the
    result on most sets.
    """
    found = next((one for one in results if one["kind"] == BASELINES_KIND), None)
    if found:
        own = {"base", model_name("sempa", found.get("adapter")), *found.get("also", {})}
        means = {name.removesuffix(PROMPT): mean for name, mean in method_means(found).items()}
        means = {name: mean for name, mean in means.items() if name in own or not name.startswith("base, ")}
        sets = list(next(iter(found["methods"].values())))
    elif found := max(
        (one for one in results if one["kind"] == STS_KIND), key=lambda one: len(one["sets"]), default={}
    ):
        own = {model_name(variant, found.get("adapter")) for variant in found["recipes"]}
        means = {model_name(v, found.get("adapter")): mean_score(found["sets"], v) for v in found["recipes"]}
        sets = list(found["sets"])
    else:
        return None
    order = sorted(means, key=lambda name: means[name])
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [round(means[name], 2) for name in order],
        "y": [escape(name) for name in order],
        "text": [f"{means[name]:.1f}" for name in order],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [_colour(name) if name in own else QUIET for name in order]},
        "hoverinfo": "skip",
    }
    tests = [name for name in sets if is_test(name)] or sets
    across = {"title": {"text": f"Spearman x100, mean of {len(tests)} sets"}, "range": [0, 100]}
    chart = figure([trace], xaxis=across, yaxis=_down("model"), height=90 + 46 * len(order), bargap=0.3)
    words = ", ".join(f"{name} {means[name]:.1f}" for name in reversed(order))
    return chart, f"{words}: the mean of {', '.join(tests)} ({found['text']}). Higher is better."


def contrast_chart(results: Results) -> Drawn | None:
    """Draw the accuracy on each kind of contrast with its interval: a mark per score on one axis."""
    found = next((one for one in results if one["kind"] == CONTRAST_KIND and one["split"] == "test"), None)
    if found is None:
        return None
    methods = {name: found["methods"][name]["kinds"] for name in SCORES if name in found["methods"]}
    kinds = sorted(methods["base"], key=lambda kind: kind != "all")
    rows = {kind: place for place, kind in enumerate(reversed(kinds))}
    traces = []
    for number, (name, by) in enumerate(methods.items()):
        places = [rows[kind] + 0.22 * ((len(methods) - 1) / 2 - number) for kind in kinds]
        marks = _marks([by[kind] for kind in kinds], places, _colour(name), _SYMBOLS[name])
        traces.append({**marks, "name": SCORES[name], "text": kinds, "hovertemplate": "%{text}: %{x:.1f} %"})
    across = {"title": {"text": "triplets answered right (%)", "standoff": 6}, "range": [-3, 103]}
    labels = {f"{kind.capitalize()} ({methods['base'][kind]['items']})": place for kind, place in rows.items()}
    chart = figure(
        traces, xaxis=across, yaxis=_down("kind of edit (triplets)", labels), height=130 + 28 * len(kinds),
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"},
    )  # fmt: skip
    last = methods[list(methods)[-1]]
    weakest = min(set(kinds) - {"all"}, key=lambda kind: (last[kind]["figure"], kind))
    shown = "; ".join(f"{SCORES[name]} {by['all']['figure']:.1f} %" for name, by in methods.items())
    words = f"Paraphrase nearer than the edit, of {last['all']['items']:,} triplets: {shown}"
    return chart, f"{words} (lowest: {weakest}, {last[weakest]['figure']:.1f} %)."


def cost_chart(results: Results) -> Drawn | None:
    """Draw the change on every writing task with its 95% interval on one axis; positive is better than the base."""
    measured = [one for one in results if one.get("what") == "generation" and len(one["recipes"]) == 2]
    tasks = {task: found for one in measured for task, found in one["tasks"].items()}
    if not tasks:
        return None
    rows = {task: place for place, task in enumerate(reversed(tasks))}
    changes = [found["change"] for found in tasks.values()]
    marks = _marks(changes, [rows[task] for task in tasks], COLOURS["sempa"])
    trace = {**marks, "text": list(tasks), "hovertemplate": "%{text}: %{x:+.2f}<extra></extra>"}
    zero = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper"}
    labels = {f"{task}<br>{found['measure']}": rows[task] for task, found in tasks.items()}
    chart = figure(
        [trace],
        xaxis={"title": {"text": "change from base (right: better)"}},
        yaxis=_down("task", labels),
        shapes=[{**zero, "line": {"color": COLOURS["base"], "width": 2}}],
        height=80 + 38 * len(tasks),
        showlegend=False,
    )
    moved = ", ".join(f"{task} {found['change']['figure']:+.1f}" for task, found in tasks.items())
    return chart, f"{verdict({**measured[0], 'tasks': tasks}).capitalize()}: {moved}. Lines are 95% intervals."


def _colour(name: str) -> str:
    return COLOURS["base" if name == "base" else "sempa"]


def _down(title: str, labels: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return a vertical axis; `labels` maps shown names to their places."""
    ticks = {"tickvals": list(labels.values()), "ticktext": list(labels)} if labels else {}
    return {"title": {"text": title, "standoff": 6}, **ticks}


def _marks(
    found: Sequence[Mapping[str, float]], places: Sequence[float], colour: str, symbol: str = "circle"
) -> dict[str, Any]:
    """Return a trace of figures with their intervals, each at its vertical place."""
    figures = [one["figure"] for one in found]
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [round(one["high"] - one["figure"], 3) for one in found],
        "arrayminus": [round(one["figure"] - one["low"], 3) for one in found],
        "color": colour,
        "thickness": 1.4,
        "width": 3,
    }
    marker = {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 2, "color": colour}}
    return {"mode": "markers", "x": figures, "y": list(places), "marker": marker, "error_x": spread}
