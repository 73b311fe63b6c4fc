"""Choose each model's best embedding settings (template, layer, post-processing) on development pairs only.

`python benchmarks/embedding_settings.py --data FOLDER --texts TRIPLETS.csv --json results/embedding-settings.json`
measures the base model and every given adapter. It tries each template at the last and at earlier layers, with each
post-processing; the settings that do best on the folder's `*dev` pairs are then measured once on its other sets,
beside the paper's settings. Post-processing is fitted on `--texts`, never on the pairs. `--save` stores each
adapter's best settings in a folder `settings` beside it, for `python -m sempa ... --settings`. All adapters share one
base in memory. Rows are cached, so an interrupted run resumes.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from shared import keep, set_scores

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.data.rows import subsample
from sempa.data.scored_pairs import ScoredPairs, read_scored_pairs
from sempa.data.triplets import read_triplets
from sempa.embedding.encoder import Encoder
from sempa.embedding.postprocess import KINDS, Postprocess, Rows
from sempa.embedding.settings import save_settings
from sempa.evaluation.baselines import ONE_EXAMPLE
from sempa.evaluation.result_cache import ResultCache, cached_rows
from sempa.evaluation.sts import is_test, sts_spearman
from sempa.files import sha256_of
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import BASE, SEMPA, ModelPair
from sempa.templates import SentenceTemplate

TEMPLATES = {"prompteol": "prompteol", "one example": ONE_EXAMPLE, "cot": "cot", "knowledge": "knowledge"}
LAYERS = (-1, -2, -4, -7)
POSTPROCESSINGS = (None, *KINDS)
PAPER = EncoderConfig()


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--adapter", action="append", help="several allowed (default: those shipped)")
    made.add_argument("--data", type=Path, required=True, help="folder of scored pairs; *dev chooses, the rest is test")
    made.add_argument("--text", default="as the files give it", help="how the text was prepared, in your words")
    made.add_argument("--texts", type=Path, required=True, help="triplets whose anchors post-processing is fitted on")
    made.add_argument("--limit", type=int, default=4096, help="about so many anchors (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    made.add_argument("--save", action="store_true", help="keep each adapter's best settings beside it")
    return made


class Read:
    """Encode texts at all tried layers in one pass per template."""

    def __init__(self, layers: Sequence[int]) -> None:
        self.layers = list(layers)

    def each_layer(self, encoder: Encoder, texts: Sequence[str], variant: str) -> Mapping[int, Rows]:
        """Return each layer's (N, D) states of the texts with the encoder's template."""
        config = replace(encoder.recipe(variant), layer=-1)
        request = {"recipe": asdict(config), "layers": self.layers, "texts": list(texts)}

        def read() -> Rows:
            of_layers = [Encoder(encoder.pair, replace(encoder.config, layer=layer)) for layer in self.layers]
            return np.stack([of_layer.states(texts, variant) for of_layer in of_layers])

        return dict(zip(self.layers, ResultCache(str(encoder.pair.info.precision)).cached(request, read), strict=True))

    def __call__(self, encoder: Encoder, texts: Sequence[str], variant: str) -> Rows:
        """Return the (N, D) states of the texts at the encoder's layer."""
        return self.each_layer(encoder, texts, variant)[encoder.config.layer]


def tried(
    pair: ModelPair, variant: str, dev: Sequence[ScoredPairs], texts: Sequence[str], read: Read
) -> list[dict[str, Any]]:
    """Score every template, layer and post-processing (fitted on `texts`) on development pairs, the paper's first."""
    scores = []
    sentences = list(dict.fromkeys(s for pairs in dev for s in (*pairs.first, *pairs.second)))
    for template, text in TEMPLATES.items():
        encoder = Encoder(pair, replace(PAPER, template=text))
        fitting, states = (read.each_layer(encoder, part, variant) for part in (texts, sentences))
        for layer in read.layers:
            for kind in POSTPROCESSINGS:
                fitted = Postprocess.fit(kind, {variant: fitting[layer]}, "") if kind else None
                rows = fitted.apply(states[layer], variant) if fitted else states[layer]
                units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
                place = dict(zip(sentences, units, strict=True))
                score = fmean(sts_spearman(partial(_looked_up, place), pairs) for pairs in dev)
                scores.append({"template": template, "layer": layer, "postprocess": kind, "dev": round(score, 2)})
                print(variant, scores[-1], flush=True)
    return scores


def _looked_up(rows: Mapping[str, Rows], sentences: Sequence[str]) -> Rows:
    return np.stack([rows[sentence] for sentence in sentences])


def main() -> int:
    """Try all settings, choose the best, measure it and write the JSON."""
    args = parser().parse_args()
    sets = {path.stem: read_scored_pairs(path) for path in sorted(args.data.glob("*.tsv"))}
    dev = [pairs for name, pairs in sets.items() if name.endswith("dev")]
    tests = {name: pairs for name, pairs in sets.items() if is_test(name)}
    anchors = [triplet.anchor for triplet in read_triplets(args.texts)[0]]
    texts = list(dict.fromkeys(subsample(anchors, args.limit)))
    fitted_on = f"{len(texts):,} anchors of {args.texts.name} (SHA-256 {sha256_of(args.texts)})"
    adapters = args.adapter or shipped_adapters(args.base)
    first = ModelPair.open(args.base, adapters[0])
    pairs = [first, *map(first.with_adapter, adapters[1:])]
    read = Read([layer for layer in LAYERS if -layer <= first.layers])
    models = {}
    for pair, variant in [(first, BASE), *((pair, SEMPA) for pair in pairs)]:
        scores = tried(pair, variant, dev, texts, read)
        best = max(scores, key=itemgetter("dev"))
        config = replace(PAPER, template=TEMPLATES[best["template"]], layer=best["layer"])
        kind = best["postprocess"]
        plain = Encoder(pair, config)
        rows = {model: read(plain, texts, model) for model in pair.variants} if kind else {}
        encoder = Encoder(pair, config, Postprocess.fit(kind, rows, fitted_on)) if kind else plain
        name = variant if variant == BASE else pair.adapter.name
        models[name] = {
            "paper": set_scores(partial(cached_rows, Encoder(pair, PAPER), variant), tests) | {"dev": scores[0]["dev"]},
            "best": set_scores(partial(cached_rows, encoder, variant), tests) | best,
            "tried": scores,
        }
        print(name, models[name]["paper"], models[name]["best"], flush=True)
        if args.save and variant == SEMPA:
            save_settings(encoder, pair.adapter.folder / "settings")
    result = {
        "kind": "embedding-settings",
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
