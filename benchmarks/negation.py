"""Does an adapter unlearn to say no: TruthfulQA where the best answer negates, and where it does not.

`python benchmarks/negation.py sempa=adapters/sempa even=runs/even --generation FOLDER --json results/negation.json`
asks the base and each adapter TruthfulQA's single-choice questions through EleutherAI's harness. What was asked of a
model on this machine before is not asked again.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shared import keep

from sempa.config import DEFAULT_BASE
from sempa.data.negation import negates
from sempa.evaluation.generation import TASKS, generation_figures
from sempa.evaluation.result_cache import remembered
from sempa.evaluation.statistics import Outcomes, paired_figures
from sempa.models.pair import BASE, SEMPA, ModelPair

TASK = "truthfulqa_mc1"


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("adapters", nargs="+", help="NAME=FOLDER")
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--generation", type=Path, required=True, help="folder of the generation tasks' files")
    made.add_argument("--json", type=Path, required=True)
    return made


def main() -> int:
    """Ask, split by the best answer, and write."""
    args = parser().parse_args()
    models: dict[str, Any] = {}
    pair: ModelPair | None = None
    for name, _, folder in (given.partition("=") for given in args.adapters):
        pair = pair.with_adapter(folder) if pair else ModelPair.open(args.base, folder)
        assert pair.adapter
        found = asked(pair, args.generation)
        models.setdefault(BASE, {part: figures[BASE] for part, figures in found.items()})
        models[name] = {part: figures[SEMPA] | {"change": figures["change"]} for part, figures in found.items()}
        models[name]["sha256"] = pair.adapter.sha256
        items = {part: figures["items"] for part, figures in found.items()}
        result = {"kind": "negation", "items": items, "models": models, "precision": str(pair.info.precision)}
        keep(result, args.json)
        print(name, models[name], flush=True)
    return 0


def asked(pair: ModelPair, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the paired figures of the questions whose best answer negates, of the others, and of all."""
    given_to: dict[str, Mapping[str, Any]] = {}
    outcomes: dict[str, Outcomes] = {}

    def remember(given: Mapping[str, Any], compute: Callable[[], Outcomes]) -> Outcomes:
        variant = SEMPA if given["model"]["adapter"] else BASE
        given_to[variant] = given
        outcomes[variant] = remembered(str(pair.info.precision), given, compute)
        return outcomes[variant]

    generation_figures(pair, folder, partial(print, flush=True), tasks=[TASK], remember=remember)
    saying_no = np.array([negates(item["mc1_targets"]["choices"][0]) for item in given_to[BASE]["items"]])
    parts = {"negates": saying_no, "other": ~saying_no, "all": np.ones(len(saying_no), dtype=bool)}
    chosen = {part: {variant: rows[held] for variant, rows in outcomes.items()} for part, held in parts.items()}
    return {part: paired_figures(rows, TASKS[TASK].measure) for part, rows in chosen.items()}


if __name__ == "__main__":
    raise SystemExit(main())
