"""Plot training runs in one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

INK, BASE = "#333333", "#8a8f98"
COLOURS = ("#1f7a5c", "#3566a8", "#b0622a", "#7a4fa3", "#a3343f")
SMOOTH = 0.8
"""Decay of the running mean per step; unsmoothed steps are drawn faintly behind it."""

Steps = Sequence[Mapping[str, Any]]


def plot_runs(runs: Mapping[str, tuple[Steps, Steps]], score_name: str, path: Path) -> None:
    """Plot each run's loss and score against samples seen, and write a PNG.

    `runs` maps a name to the lines of metrics.jsonl and the scores as (samples, score), starting with the base at 0
    samples.
    """
    figure = Figure(figsize=(9, 3.2), dpi=150, layout="constrained")
    loss, score = figure.subplots(1, 2)
    for number, (name, (lines, scores)) in enumerate(runs.items()):
        colour = COLOURS[number % len(COLOURS)]
        samples = [line["samples"] for line in lines]
        values = [line["loss"] for line in lines]
        loss.plot(samples, values, color=colour, alpha=0.25, linewidth=0.8)
        loss.plot(samples, _running_mean(values), color=colour, linewidth=1.6)
        if not number:
            score.axhline(scores[0]["score"], color=BASE, linewidth=1.2, linestyle="--", label="base")
        seen, found = [point["samples"] for point in scores], [point["score"] for point in scores]
        best = max(scores[1:], key=lambda point: point["score"])
        label = f"{name}, kept: {best['score']:.2f}".removeprefix(", ")
        score.plot(seen, found, color=colour, marker="o", markersize=3.5, label=label)
    loss.set(xlabel="samples", ylabel="loss", xlim=(0, None))
    score.set(xlabel="samples", ylabel="score", xlim=(0, None))
    score.set_title(fill(score_name, 70), fontsize=7, color=INK)
    score.legend(frameon=False, fontsize=8)
    for axes in (loss, score):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.savefig(path)


def _running_mean(values: Sequence[float]) -> list[float]:
    mean, means = values[0], []
    for value in values:
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        means.append(mean)
    return means
