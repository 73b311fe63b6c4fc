"""A training run as one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

INK, BASE, ALIGNED = "#333333", "#8a8f98", "#1f7a5c"
SMOOTH = 0.8
"""Share of the running mean that stays at each step; single steps are drawn faintly behind it."""


def plot_run(
    lines: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]], score_name: str, path: Path
) -> None:
    """Draw loss and score over the samples seen, and write it as PNG.

    `lines` are those of metrics.jsonl; `scores` are (samples, score), the base model's first at 0 samples.
    """
    figure = Figure(figsize=(9, 3.2), dpi=150, layout="constrained")
    loss, score = figure.subplots(1, 2)
    samples = [line["samples"] for line in lines]
    values = [line["loss"] for line in lines]
    loss.plot(samples, values, color=ALIGNED, alpha=0.25, linewidth=0.8)
    loss.plot(samples, _running_mean(values), color=ALIGNED, linewidth=1.6)
    loss.set(xlabel="samples", ylabel="loss", xlim=(0, None))
    score.axhline(scores[0]["score"], color=BASE, linewidth=1.2, linestyle="--", label="base")
    score.plot([s["samples"] for s in scores], [s["score"] for s in scores], color=ALIGNED, marker="o", markersize=3.5)
    best = max(scores[1:], key=lambda point: point["score"])
    score.annotate(
        f"kept: {best['score']:.2f}",
        (best["samples"], best["score"]),
        xytext=(0, -14),
        textcoords="offset points",
        ha="right",
        color=INK,
        fontsize=8,
    )
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
