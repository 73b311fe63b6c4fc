"""Kinds of measurements, each as parts that are computed one after another."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sempa.data.rows import subsample
from sempa.data.triplets import read_triplets
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.evaluation.result_cache import ResultCache, cached_preferences, cached_rows
from sempa.evaluation.results import (
    BASELINES_KIND,
    CONTRAST_KIND,
    GEOMETRY_KIND,
    PAIRED_KIND,
    STS_KIND,
    TOKENS_KIND,
)
from sempa.models.pair import BASE, SEMPA
from sempa.models.preference import WEIGHT

Figures = dict[str, Any]
Report = Callable[[str], None]
Part = tuple[str, Callable[[], Figures]]
"""A part's name and the function that computes its figures."""

HUB = Path("hub")
"""Stands for the paper's seven STS sets and five generation tasks on the hub, in place of a folder."""
HUB_SETS = {
    **{f"sts{year}": (f"mteb/sts{year}-sts", "test") for year in (12, 13, 14, 15, 16)},
    "stsb-dev": ("mteb/stsbenchmark-sts", "validation"),
    "stsb-test": ("mteb/stsbenchmark-sts", "test"),
    "sickr": ("mteb/sickr-sts", "test"),
}


@dataclass(frozen=True)
class Measurement:
    """Request a measurement: its kind (see `KINDS`) and data; `text` describes how the text was prepared.

    `data` may be HUB for sts, baselines and generation. `limit` measures about that many items per part; baselines
    ignore it. `judge` names the encoder that judges paraphrases (None: all-MiniLM-L6-v2). `tasks` lists
    generation tasks (empty: the defaults). `split` applies to contrast. `preference` adds the preference score, with
    `weight`, to the cosine in sts and in retrieval, which it re-ranks; contrast always uses it. `baselines` adds other
    embedding methods to contrast.
    """

    what: str
    data: Path
    text: str = "as the files give it"
    limit: int | None = None
    judge: str | None = None
    tasks: tuple[str, ...] = ()
    split: str = "test"
    preference: bool = False
    weight: float = WEIGHT
    baselines: bool = False


def _encoders(encoder: Encoder, report: Report) -> dict[str, Callable[[Sequence[str]], Any]]:
    return {variant: functools.partial(cached_rows, encoder, variant, report=report) for variant in encoder.variants}


def _sts(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    from sempa.evaluation.sts import measured_pairs, preference_figures

    for name, load in _sets(request.data).items():

        def compute(load: Callable[[], Any] = load) -> Figures:
            pairs = load().subsample(request.limit)
            content = json.dumps([pairs.first, pairs.second, pairs.scores])
            measured = measured_pairs(_encoders(encoder, report), pairs)
            figures = dict(measured.figures)
            if request.preference:
                scores = cached_preferences(encoder.pair, list(zip(pairs.first, pairs.second, strict=True)), report)
                figures |= preference_figures(measured, scores, request.weight)
            return {**figures, "sha256": hashlib.sha256(content.encode()).hexdigest()}

        yield name, compute


def _contrast(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    from sempa.evaluation.baselines import baselines
    from sempa.evaluation.contrast import contrast_figures, cosine_margins, read_contrast, score_margins

    triplets = subsample(read_contrast(request.data, request.split), request.limit)
    report(f"{request.data.name}, {request.split}: {len(triplets):,} triplets.")

    def cosines(prepare: Callable[[], Any]) -> Callable[[], Any]:
        return functools.cache(lambda: cosine_margins(prepare(), triplets))

    encoders = _encoders(encoder, report)
    margins = {name: cosines(functools.partial(encoders.__getitem__, name)) for name in encoders}
    if SEMPA in margins:
        scores = functools.cache(
            lambda: score_margins(functools.partial(cached_preferences, encoder.pair, report=report), triplets)
        )
        margins |= {"preference": scores, "both": lambda: margins[SEMPA]() + request.weight * scores()}
    if request.baselines:
        margins |= {name: cosines(prepare) for name, prepare in baselines(encoder).items()}
    for name in margins:

        def compute(name: str = name) -> Figures:
            found = {each: margins[each]() for each in dict.fromkeys((BASE, name))}
            return contrast_figures(triplets, found, errors=name == SEMPA)

        yield name, compute


def _sets(data: Path) -> dict[str, Callable[[], Any]]:
    """Return a function that reads each set of scored pairs, by name."""
    from sempa.data.hub_rows import hub_rows
    from sempa.data.scored_pairs import read_scored_pairs, scored_pairs_from_rows

    def from_hub(repository: str, split: str) -> Any:
        return scored_pairs_from_rows(hub_rows(repository, split), f"{repository}, {split}")

    if data == HUB:
        return {name: functools.partial(from_hub, *where) for name, where in HUB_SETS.items()}
    return {path.stem: functools.partial(read_scored_pairs, path) for path in _files_of(data, (".tsv", ".csv"))}


def baselines_parts(
    encoder: Encoder, request: Measurement, report: Report, also: Sequence[Encoder] = ()
) -> Iterator[Part]:
    """Yield each baseline's scores on every set, with the adapters of `also` in the same table."""
    from sempa.evaluation.baselines import baselines
    from sempa.evaluation.sts import sts_spearman

    sets = _sets(request.data)
    for name, prepare in baselines(encoder, also).items():

        def compute(prepare: Callable[[], Any] = prepare) -> Figures:
            encode = prepare()
            return {each: round(sts_spearman(encode, load()), 2) for each, load in sets.items()}

        yield name, compute


def _generation(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    from sempa.evaluation.generation import PAPER, USUAL, generation_figures

    data = None if request.data == HUB else request.data
    cache = ResultCache(str(encoder.pair.info.precision)).cached
    for task in request.tasks or (USUAL if data else PAPER):
        compute = functools.partial(generation_figures, encoder.pair, data, report, request.limit, [task], cache=cache)
        yield task, compute


def _paraphrase(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    from sempa.evaluation.judge import open_judge
    from sempa.evaluation.paraphrase import paraphrase_figures, read_sentences

    judge = functools.cache(functools.partial(open_judge, request.judge))
    cache = ResultCache(str(encoder.pair.info.precision), judge=request.judge).cached
    for path in _files_of(request.data, (".tsv",)):

        def compute(path: Path = path) -> Figures:
            sentences = read_sentences(path, request.limit)
            found = paraphrase_figures(encoder.pair, sentences, judge(), report, cache=cache)
            return {f"{path.stem}, {name}": figures for name, figures in found.items()}

        yield path.stem, compute


def _retrieval(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    from sempa.evaluation.retrieval import Rerank, read_retrieval, retrieval_figures

    def compute() -> Figures:
        data = read_retrieval(request.data, request.limit)
        report(f"{data.name}: {len(data.texts):,} texts, {len(data.queries):,} queries.")
        score = functools.partial(cached_preferences, encoder.pair, report=report)
        rerank = Rerank(score, request.weight) if request.preference else None
        found = retrieval_figures(_encoders(encoder, report), data, rerank)
        return {f"{data.name}, {name}": figures for name, figures in found.items()}

    yield request.data.name, compute


def _geometry(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    from sempa.evaluation.geometry import geometry_figures

    kept = subsample(read_triplets(request.data)[0], request.limit)
    columns = {
        "anchor": [triplet.anchor for triplet in kept],
        "positive": [triplet.entailment for triplet in kept],
        "negative": [triplet.contradiction for triplet in kept],
    }
    for variant, read in _encoders(encoder, report).items():

        def compute(read: Callable[[Sequence[str]], Any] = read) -> Figures:
            rows = {name: read(sentences) for name, sentences in columns.items()}
            return {"triplets": len(kept), **geometry_figures(rows)}

        yield variant, compute


def _tokens(encoder: Encoder, request: Measurement, report: Report) -> Iterator[Part]:
    import numpy as np

    from sempa.data.corpora import read_corpus
    from sempa.evaluation.tokens import TOP, aligned_ratio

    sentences = list(read_corpus(request.data, at_most=request.limit).texts)
    plain = Encoder(encoder.pair, replace(encoder.config, postprocess=None))  # the LM head expects unprocessed states
    for variant in encoder.variants:

        def compute(variant: str = variant) -> Figures:
            rows = dict(zip(sentences, cached_rows(plain, variant, sentences, report), strict=True))

            def aligned(some: Sequence[str]) -> list[list[tuple[str, float]]]:
                return plain.top_tokens(np.stack([rows[sentence] for sentence in some]), variant, TOP)

            return aligned_ratio(sentences, aligned, encoder.own_tokens)

        yield variant, compute


def _files_of(data: Path, endings: Sequence[str]) -> list[Path]:
    named = " or ".join(ending[1:].upper() for ending in endings)
    if not data.exists():
        raise InputError(f"{data} does not exist: --data needs a {named} file or a folder of them.")
    paths = [data] if data.is_file() else sorted(p for p in data.iterdir() if p.suffix in endings)
    if not paths:
        raise InputError(f"{data} contains no {named} file.")
    return paths


@dataclass(frozen=True)
class Kind:
    """Describe a kind of measurement: the result's kind, the key of its figures, the measure, and the parts."""

    name: str
    key: str
    measure: str
    parts: Callable[[Encoder, Measurement, Report], Iterator[Part]]


KINDS = {
    "sts": Kind(STS_KIND, "sets", "Spearman x100 of cosines over all pairs of a set", _sts),
    "contrast": Kind(
        CONTRAST_KIND, "methods", "Accuracy (%): the paraphrase is nearer than the edit by cosine", _contrast
    ),
    "baselines": Kind(
        BASELINES_KIND,
        "methods",
        "Spearman x100 of cosines over all pairs of a set, no post-processing",
        baselines_parts,
    ),
    "generation": Kind(
        PAIRED_KIND,
        "tasks",
        "Tasks of EleutherAI's lm-evaluation-harness; positive changes are improvements",
        _generation,
    ),
    "paraphrase": Kind(
        PAIRED_KIND, "tasks", "Greedy paraphrases, prompt P1; positive changes are improvements", _paraphrase
    ),
    "retrieval": Kind(
        PAIRED_KIND,
        "tasks",
        "Cosine over all texts, scored by trec_eval; positive changes are improvements",
        _retrieval,
    ),
    "geometry": Kind(
        GEOMETRY_KIND, "models", "Unit vectors of NLI anchors, their entailments and contradictions", _geometry
    ),
    "tokens": Kind(
        TOKENS_KIND, "models", "Share of the sentences' words among the ten tokens nearest to their embeddings", _tokens
    ),
}
