"""Which reading serves each model best: template, layer and post-processing, chosen on development pairs alone.

`python benchmarks/readings.py --data FOLDER --texts TRIPLETS.csv --json results/readings.json` reads the base model and
every adapter given. Of the templates the best is taken with each post-processing at the last layer, then earlier layers
are tried with it; the best on the folder's `*dev` pairs then reads its other sets once, beside the paper's reading.
Post-processing is fitted on `--texts`, never on the pairs. `--save` keeps each adapter's best reading as a folder
`reading` beside it, for `python -m sempa ... --reading`. All adapters share one base in memory.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shared import keep

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.evidence.sts import ScoredPairs, is_test, read_scored_pairs, set_scores, sts_spearman
from sempa.evidence.thinned import thinned
from sempa.learning.preferences import read_triplets
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import BASE, SEMPA, ModelPair
from sempa.models.source import sha256_of
from sempa.outcomes import read_rows
from sempa.peers import ONE_EXAMPLE
from sempa.reading.encoder import Encoder
from sempa.reading.postprocess import KINDS, Postprocess, Rows
from sempa.reading.readings import fit_reading, save_reading
from sempa.templates import SentenceTemplate

TEMPLATES = {"prompteol": "prompteol", "one example": ONE_EXAMPLE, "cot": "cot", "knowledge": "knowledge"}
LAYERS = (-2, -4, -7)
POSTPROCESSINGS = (None, *KINDS)
PAPER = EncoderConfig()


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--adapter", action="append", help="several allowed (default: those shipped)")
    made.add_argument("--data", type=Path, required=True, help="folder of scored pairs; *dev chooses, the rest is test")
    made.add_argument("--text", default="as the files give it", help="how the text was prepared, in words")
    made.add_argument("--texts", type=Path, required=True, help="triplets whose anchors post-processing is fitted on")
    made.add_argument("--limit", type=int, default=4096, help="about so many anchors (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    made.add_argument("--save", action="store_true", help="keep each adapter's best reading beside it")
    return made


class Tried:
    """Try readings of one model on development pairs; what was read is post-processed in every way at once."""

    def __init__(self, pair: ModelPair, variant: str, dev: Sequence[ScoredPairs], texts: Sequence[str]) -> None:
        self._pair, self._variant, self._dev, self._texts = pair, variant, dev, texts
        self.scores: list[dict[str, Any]] = []

    def reading(self, template: str, layer: int) -> None:
        """Score one template and layer with each post-processing."""
        encoder = Encoder(self._pair, replace(PAPER, template=TEMPLATES[template], layer=layer))
        sentences = list(dict.fromkeys(s for pairs in self._dev for s in (*pairs.first, *pairs.second)))
        texts, states = (encoder.states(part, self._variant) for part in (self._texts, sentences))
        for kind in POSTPROCESSINGS:
            fitted = Postprocess.fit(kind, {self._variant: texts}, "") if kind else None
            rows = fitted.apply(states, self._variant) if fitted else states
            units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            place = dict(zip(sentences, units, strict=True))
            dev = fmean(sts_spearman(partial(_looked_up, place), pairs) for pairs in self._dev)
            self.scores.append({"template": template, "layer": layer, "postprocess": kind, "dev": round(dev, 2)})
            print(self._variant, self.scores[-1], flush=True)

    @property
    def best(self) -> dict[str, Any]:
        """Return the best so far."""
        return max(self.scores, key=lambda score: score["dev"])


def _looked_up(rows: Mapping[str, Rows], sentences: Sequence[str]) -> Rows:
    return np.stack([rows[sentence] for sentence in sentences])


def main() -> int:
    """Try, choose, measure and write."""
    args = parser().parse_args()
    sets = {path.stem: read_scored_pairs(path) for path in sorted(args.data.glob("*.tsv"))}
    dev = [pairs for name, pairs in sets.items() if name.endswith("dev")]
    tests = {name: pairs for name, pairs in sets.items() if is_test(name)}
    anchors = [triplet.anchor for triplet in read_triplets(args.texts)[0]]
    texts = list(dict.fromkeys(thinned(anchors, args.limit)))
    fitted_on = f"{len(texts):,} anchors of {args.texts.name} (SHA-256 {sha256_of(args.texts)})"
    adapters = args.adapter or shipped_adapters(args.base)
    first = ModelPair.open(args.base, adapters[0])
    pairs = [first, *map(first.with_adapter, adapters[1:])]
    models = {}
    for pair, variant in [(first, BASE), *((pair, SEMPA) for pair in pairs)]:
        tried = Tried(pair, variant, dev, texts)
        for template in TEMPLATES:
            tried.reading(template, -1)
        template = tried.best["template"]
        for layer in (layer for layer in LAYERS if -layer <= pair.layers):
            tried.reading(template, layer)
        best = tried.best
        config = replace(PAPER, template=TEMPLATES[best["template"]], layer=best["layer"])
        kind = best["postprocess"]
        encoder = fit_reading(pair, config, kind, texts, fitted_on) if kind else Encoder(pair, config)
        name = variant if variant == BASE else pair.adapter.name
        models[name] = {
            "paper": set_scores(partial(read_rows, Encoder(pair, PAPER), variant), tests)
            | {"dev": tried.scores[0]["dev"]},
            "best": set_scores(partial(read_rows, encoder, variant), tests) | best,
            "tried": tried.scores,
        }
        print(name, models[name]["paper"], models[name]["best"], flush=True)
        if args.save and variant == SEMPA:
            save_reading(encoder, pair.adapter.folder / "reading")
    result = {
        "kind": "readings",
        "text": args.text,
        "templates": {name: SentenceTemplate.embedding(text).render("{sentence}") for name, text in TEMPLATES.items()},
        "models": models,
        "fitted_on": fitted_on,
        "recipes": {name: pair.adapter.sha256 for name, pair in zip(list(models)[1:], pairs, strict=True)},
        "precision": str(first.info.precision),
    }
    keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
