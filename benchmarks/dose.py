"""Measure similarity and text prediction by amount of training, at every scored checkpoint of given runs.

Train with `--keep-checkpoints`, then `python benchmarks/dose.py RUN ... --dev DEV.tsv --generation FOLDER --json
results/dose.json --figure docs/dose.png`: for each `RUN/scored/SAMPLES`, it measures Spearman on the development pairs,
and accuracy and word perplexity on samples of the tasks. The base model is dose 0. Doses already in the JSON are
skipped. All adapters share one base in memory.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from shared import earlier_result, keep

from sempa.config import DEFAULT_BASE, EncoderConfig, Recipe
from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.evaluation.generation import PERPLEXITY, TASKS, generation_figures
from sempa.evaluation.sts import sts_spearman
from sempa.files import sha256_of
from sempa.models.adapters import WEIGHTS_FILE
from sempa.models.pair import BASE, SEMPA, ModelPair

PREDICTED = ("lambada_openai", PERPLEXITY)


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", nargs="+", type=Path, help="folders written by train.py --keep-checkpoints")
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--dev", type=Path, nargs="+", required=True, help="scored pairs; the mean over the files counts")
    made.add_argument("--generation", type=Path, required=True, help="folder of the generation tasks' files")
    made.add_argument("--samples", type=int, nargs="+", help="doses to measure (default: every one that was kept)")
    made.add_argument("--limit", type=int, default=300, help="items of LAMBADA (default: %(default)s)")
    made.add_argument("--pages", type=int, default=10, help="pages of running text (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    made.add_argument("--figure", type=Path, help="draw the curves here (PNG)")
    return made


def measured(pair: ModelPair, variant: str, args: argparse.Namespace) -> dict[str, float]:
    """Return one model's figures."""
    encoder = Encoder(pair, EncoderConfig())
    scores = [sts_spearman(lambda texts: encoder.encode(texts, variant), read_scored_pairs(path)) for path in args.dev]
    figures = {"sts": round(sum(scores) / len(scores), 3)}
    for task in PREDICTED:
        limit = args.pages if task == PERPLEXITY else args.limit
        found = generation_figures(pair, args.generation, print, limit, [task], [variant])
        figures[task] = found[task][variant]["figure"]
    return figures


def conditions(args: argparse.Namespace) -> dict[str, Any]:
    """Return the measuring conditions, which must be equal for all figures of a file."""
    texts = [args.generation / TASKS[task].file for task in PREDICTED]
    return {
        "dev": [f"{path.parent.name}/{path.stem}" for path in args.dev],
        "items": args.limit,
        "pages": args.pages,
        "data": {f"{path.parent.name}/{path.name}": sha256_of(path) for path in (*args.dev, *texts)},
    }


def doses(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return every dose of every run, measured now or earlier."""
    given = conditions(args)
    kept = earlier_result(args.json, **given).get("doses", [])
    known = {dose.get("adapter", dose["run"]): dose for dose in kept}
    pair: ModelPair | None = None
    for run in args.runs:
        recipe = Recipe.load(run).training
        assert recipe is not None, f"{run} was not trained here"
        for folder in sorted((run / "scored").iterdir()):
            if args.samples and int(folder.name) not in args.samples:
                continue
            adapter = sha256_of(folder / WEIGHTS_FILE)
            if adapter in known:
                continue
            pair = pair.with_adapter(str(folder)) if pair else ModelPair.open(args.base, str(folder))
            if BASE not in known:
                known[BASE] = {"run": BASE, "samples": 0, **measured(pair, BASE, args)}
            known[adapter] = {
                "run": run.name,
                "adapter": adapter,
                "samples": int(folder.name),
                "objective": recipe.objective,
                "kl_weight": recipe.kl_weight,
                "rpo_alpha": recipe.rpo_alpha,
                "seed": recipe.seed,
                **measured(pair, SEMPA, args),
            }
            print(json.dumps(known[adapter]), flush=True)
            keep({"kind": "dose", "doses": list(known.values()), **given}, args.json)
    return list(known.values())


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Plot one panel per figure and one line per run, from the base at dose 0; dashed lines have no KL penalty."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    base = next(dose for dose in found if dose["run"] == BASE)
    panels = {
        "sts": "STS-B dev, Spearman x100",
        "lambada_openai": "LAMBADA, accuracy (%)",
        "wikitext": "WikiText-2, word perplexity (lower is better)",
    }
    trained = [dose for dose in found if dose["run"] != BASE]
    runs = {run: [dose for dose in trained if dose["run"] == run] for run in dict.fromkeys(d["run"] for d in trained)}
    objectives = dict.fromkeys(dose["objective"] for dose in trained)
    colours = dict(zip(objectives, plt.rcParams["axes.prop_cycle"].by_key()["color"], strict=False))
    smallest = min(dose["samples"] for dose in trained)
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 4.2), layout="constrained")
    for axis, (name, title) in zip(axes, panels.items(), strict=True):
        axis.axhline(base[name], color="grey", linewidth=0.8, linestyle=":")
        for run, measured_doses in runs.items():
            line = sorted((dose["samples"], dose[name]) for dose in measured_doses)
            kind = measured_doses[0]
            style = "-" if kind["kl_weight"] else "--"
            drawn = zip((0, base[name]), *line, strict=True)
            axis.plot(*drawn, style, color=colours[kind["objective"]], marker="o", markersize=3.5, label=run)
        axis.set_xscale("symlog", base=2, linthresh=smallest)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set(title=title, xlabel="training samples")
        axis.grid(alpha=0.25)
    axes[-1].set_yscale("log")  # without a KL penalty, perplexity grows by a factor
    axes[-1].yaxis.set_major_formatter("{x:.0f}")
    axes[-1].yaxis.set_minor_formatter("{x:.0f}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs), fontsize=9)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Measure the missing doses, then plot."""
    args = parser().parse_args()
    found = doses(args)
    if args.figure:
        draw(found, args.figure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
