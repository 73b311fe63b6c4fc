"""Choose the weight of the preference score beside the cosine, on development data.

`python benchmarks/preference_weight.py --dev stsb-dev.tsv --json results/preference-weight.json` scores the contrast
set's dev half and a subsample of scored pairs by cosine + weight x preference, for each of WEIGHTS.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from shared import keep

from sempa.config import DEFAULT_BASE
from sempa.data.rows import subsample
from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.evaluation.contrast import cosine_margins, read_contrast, score_margins
from sempa.evaluation.metrics import paired_cosines
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import SEMPA, ModelPair
from sempa.models.preference import preference

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--adapter", default=shipped_adapters()[0])
    made.add_argument("--dev", type=Path, required=True, help="scored pairs")
    made.add_argument("--pairs", type=int, default=300, help="of them (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    return made


def swept(
    cosines: NDArray[np.float32], margins: NDArray[np.float32], scored: Mapping[str, NDArray[np.float32]]
) -> dict[str, dict[str, float]]:
    """Return contrast accuracy (%) and Spearman x100 by weight; `scored` has cosines, preferences and gold scores."""
    return {
        f"{weight:g}": {
            "contrast": round(100 * float(np.mean(cosines + weight * margins > 0)), 2),
            "spearman": round(
                100 * float(spearmanr(scored["cosine"] + weight * scored["preference"], scored["gold"]).statistic), 2
            ),
        }
        for weight in WEIGHTS
    }


def main() -> int:
    """Score the development data once and write the figures of every weight."""
    args = parser().parse_args()
    pair = ModelPair.open(DEFAULT_BASE, args.adapter).for_inference()
    encode = partial(Encoder(pair).encode, variant=SEMPA)
    triplets = read_contrast(split="dev")
    pairs = read_scored_pairs(args.dev)
    chosen = subsample(list(zip(pairs.first, pairs.second, pairs.scores, strict=True)), args.pairs)
    first, second, gold = (list(column) for column in zip(*chosen, strict=True))
    scored = {
        "cosine": paired_cosines(encode(first), encode(second)),
        "preference": preference(pair, list(zip(first, second, strict=True))),
        "gold": np.asarray(gold, np.float32),
    }
    margins = score_margins(partial(preference, pair), triplets)
    weights = swept(cosine_margins(encode, triplets), margins, scored)
    alone = {
        "contrast": round(100 * float(np.mean(margins > 0)), 2),
        "spearman": round(100 * float(spearmanr(scored["preference"], scored["gold"]).statistic), 2),
    }
    about = {"adapter": Path(args.adapter).name, "triplets": len(triplets), "pairs": len(chosen), "dev": args.dev.name}
    keep({"kind": "preference-weight", **about, "weights": weights, "preference alone": alone}, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
