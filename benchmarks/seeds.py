"""Measure the spread over training seeds: adapters of one recipe with several seeds, on the same sets.

`python benchmarks/seeds.py sempa=adapters/sempa,runs/sempa-43,runs/sempa-44 --data FOLDER --json results/seeds.json`
measures every set of the folder except `*dev` and `*train` with the paper's settings. All adapters share one base in
memory; adapters already in the JSON are skipped.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from shared import earlier_result, keep, set_scores

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.evaluation.result_cache import cached_rows
from sempa.evaluation.sts import is_test
from sempa.files import sha256_of
from sempa.models.pair import BASE, SEMPA, ModelPair


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("groups", nargs="+", help="NAME=FOLDER,FOLDER,...: adapters of one recipe written by train.py")
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--data", type=Path, required=True, help="folder of scored pairs")
    made.add_argument("--text", default="as the files give it", help="how the text was prepared, in your words")
    made.add_argument("--json", type=Path, required=True)
    return made


def main() -> int:
    """Measure the missing adapters and write the JSON."""
    args = parser().parse_args()
    groups = {name: folders.split(",") for name, _, folders in (group.partition("=") for group in args.groups)}
    paths = [path for path in sorted(args.data.glob("*.tsv")) if is_test(path.stem)]
    sets = {path.stem: read_scored_pairs(path) for path in paths}
    conditions = {"text": args.text, "data": {path.stem: sha256_of(path) for path in paths}}
    before = earlier_result(args.json, **conditions)
    adapters = before.get("adapters", {})
    known = {run["sha256"]: run for runs in adapters.values() for run in runs}
    base = before.get("base")
    pair: ModelPair | None = None
    found: dict[str, list[dict[str, Any]]] = {}
    for name, folders in groups.items():
        for folder in folders:
            pair = pair.with_adapter(folder) if pair else ModelPair.open(args.base, folder)
            assert pair.adapter
            assert pair.adapter.recipe
            assert pair.adapter.recipe.training, f"{folder} was not trained here"
            encoder = Encoder(pair, EncoderConfig())
            base = base or set_scores(partial(cached_rows, encoder, BASE), sets)
            facts = {"seed": pair.adapter.recipe.training.seed, "sha256": pair.adapter.sha256}
            run = known.get(pair.adapter.sha256) or facts | set_scores(partial(cached_rows, encoder, SEMPA), sets)
            print(name, json.dumps(run), flush=True)
            found.setdefault(name, []).append(run)
            result = {
                "kind": "seeds",
                **conditions,
                "base": base,
                "adapters": adapters | found,
                "precision": str(pair.info.precision),
            }
            keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
