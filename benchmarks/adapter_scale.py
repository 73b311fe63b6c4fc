"""Measure an adapter at fractions of its scale: similarity, text prediction and paraphrases.

`python benchmarks/adapter_scale.py adapters/sempa --dev DEV.tsv --generation FOLDER --paraphrase FOLDER --json
results/adapter-scale.json` measures copies at each of `--scales` (see `python -m sempa scale`) as `dose.py` measures
doses, and also greedy paraphrases of sampled sentences. The base model is scale 0. Scales already in the JSON are
skipped.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dose import conditions, measured
from shared import earlier_result, keep

from sempa.config import DEFAULT_BASE
from sempa.evaluation.judge import open_judge
from sempa.evaluation.paraphrase import MEASURES, Judge, paraphrase_figures, read_sentences
from sempa.evaluation.result_cache import ResultCache
from sempa.files import sha256_of
from sempa.models.adapters import WEIGHTS_FILE
from sempa.models.combine import write_scaled
from sempa.models.pair import BASE, SEMPA, ModelPair


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("adapter", type=Path)
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--scales", type=float, nargs="+", default=[0.5, 0.65, 1.0])
    made.add_argument("--dev", type=Path, nargs="+", required=True, help="scored pairs; the mean over the files counts")
    made.add_argument("--generation", type=Path, required=True, help="folder of the generation tasks' files")
    made.add_argument("--paraphrase", type=Path, required=True, help="folder of TSV files with sentence1")
    made.add_argument("--limit", type=int, default=300, help="items of LAMBADA (default: %(default)s)")
    made.add_argument("--pages", type=int, default=10, help="pages of running text (default: %(default)s)")
    made.add_argument("--sentences", type=int, default=40, help="of each file, to paraphrase (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    return made


def figures(
    pair: ModelPair, variants: list[str], sentences: Sequence[str], judge: Judge, args: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Return each variant's figures."""
    cache = ResultCache(str(pair.info.precision)).cached  # the base gives the same outputs beside every copy
    found = paraphrase_figures(pair, sentences, judge, print, cache=cache)
    return {
        variant: measured(pair, variant, args) | {name: found[name][variant]["figure"] for name in MEASURES}
        for variant in variants
    }


def main() -> int:
    """Measure the missing scales and write the JSON."""
    args = parser().parse_args()
    about = {"name": args.adapter.name, "sha256": sha256_of(args.adapter / WEIGHTS_FILE)}
    given = {"adapter": about, "sentences": args.sentences, **conditions(args)}
    known = earlier_result(args.json, **given).get("scales", {})
    missing = [scale for scale in args.scales if f"{scale:g}" not in known]
    if not missing:
        return 0
    sentences = [s for path in sorted(args.paraphrase.glob("*.tsv")) for s in read_sentences(path, args.sentences)]
    judge = open_judge()
    pair: ModelPair | None = None
    for scale in missing:
        with tempfile.TemporaryDirectory() as scratch:
            folder = str(Path(scratch) / "adapter")
            write_scaled(str(args.adapter), Path(folder), scale)
            pair = pair.with_adapter(folder) if pair else ModelPair.open(args.base, folder)
        variants = [SEMPA] if "0" in known else [BASE, SEMPA]
        found = figures(pair, variants, sentences, judge, args)
        if BASE in found:
            known["0"] = found[BASE]
        known[f"{scale:g}"] = found[SEMPA]
        print(scale, json.dumps(found), flush=True)
        result = {
            "kind": "adapter-scale",
            **given,
            "scales": dict(sorted(known.items(), key=lambda item: float(item[0]))),
            "precision": str(pair.info.precision),
        }
        keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
