"""One measurement of both models, part by part: what the faces share of evidence; what is done is not done again."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sempa.data.rows import subsample
from sempa.data.triplets import read_triplets
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.evaluation.result_cache import cached, read_rows
from sempa.evaluation.results import (
    BASELINES_KIND,
    GEOMETRY_KIND,
    PAIRED_KIND,
    STS_KIND,
    TOKENS_KIND,
    FinishedParts,
    write_result,
)
from sempa.machine import MEASURING, environment, hardware, versions
from sempa.models.pair import SEMPA

Figures = dict[str, Any]
Part = tuple[str, Callable[[], Figures]]
"""A name, and what computes its figures."""

HUB = Path("hub")
"""Stands for the paper's seven STS sets and five generation tasks as the hub holds them."""
HUB_SETS = {
    **{f"sts{year}": (f"mteb/sts{year}-sts", "test") for year in (12, 13, 14, 15, 16)},
    "stsb-dev": ("mteb/stsbenchmark-sts", "validation"),
    "stsb-test": ("mteb/stsbenchmark-sts", "test"),
    "sickr": ("mteb/sickr-sts", "test"),
}
DRAWN = 100
"""Triplets whose place in the plane is kept for a picture."""


@dataclass(frozen=True)
class Measurement:
    """Say what to measure on which data: see `KINDS`; `text` says in words how the text was prepared.

    For sts and generation, `data` may be HUB. `limit` measures about so many items of each part (sts is always whole);
    `judge` names the encoder that judges paraphrases, None for all-MiniLM-L6-v2; `tasks` are those of generation, none
    for the usual.
    """

    what: str
    data: Path
    text: str = "as the files give it"
    limit: int | None = None
    judge: str | None = None
    tasks: tuple[str, ...] = ()


def measure(
    encoder: Encoder,
    asked: Measurement,
    output: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
    said: Callable[[str, Figures], None] = lambda _, __: None,
    also: Sequence[Encoder] = (),
) -> Figures:
    """Measure both variants and return the result, written to `output` if given.

    `report` hears what is under way, `said` each part's figures once they are there. With an output, finished parts are
    kept beside it until the whole is written, so that a measurement broken off goes on where it stopped. `also`
    adapters of the same base are measured in the same table, by baselines alone. In another precision, on another
    machine or with other versions, it begins anew.
    Raises: InputError for data that is not there or not of the form wanted, or a package that is missing; StorageError.
    """
    if asked.what not in KINDS:
        raise InputError(f"{asked.what!r} cannot be measured: choose {', '.join(KINDS)}.")
    kind, parts = KINDS[asked.what]
    recipes = {variant: asdict(encoder.recipe(variant)) for variant in encoder.variants}
    others = _also_recipes(encoder, asked, also)
    if others:
        parts = functools.partial(_baselines, also=also)
    precision = str(encoder.pair.info.precision)
    begun = {**asdict(asked), "data": _fingerprint(asked.data), "recipes": recipes, "also": others}
    begun |= {"precision": precision, "hardware": hardware(), "versions": versions(*MEASURING)}
    kept = FinishedParts(output, begun)
    figures = {}
    for name, compute in parts(encoder, asked, report):
        figures[name] = kept.get(name) or kept.add(name, compute())
        said(name, figures[name])
    result = {
        "kind": kind,
        "what": asked.what,
        "text": asked.text,
        "measure": MEASURED[asked.what],
        **_SHAPES[kind](figures),
        "limit": asked.limit,
        "data": {"name": asked.data.name, "sha256": begun["data"]},
        "recipes": recipes,
        **({"also": others} if others else {}),
        **({"judge": _judge(asked)} if asked.what == "paraphrase" else {}),
        "postprocess": encoder.postprocess and encoder.postprocess.about,
        "adapter": encoder.pair.adapter and encoder.pair.adapter.name,
        "precision": precision,
        **environment(),
        "seed": "0 for the bootstrap; nothing else is drawn",
    }
    if output is not None:
        write_result(result, output)
        kept.clear()
    return result


def _readers(encoder: Encoder, report: Callable[[str], None]) -> dict[str, Callable[[Sequence[str]], Any]]:
    return {variant: functools.partial(read_rows, encoder, variant, report=report) for variant in encoder.variants}


def _sts(encoder: Encoder, asked: Measurement, report: Callable[[str], None]) -> Iterator[Part]:
    from sempa.data.scored_pairs import read_scored_pairs
    from sempa.evaluation.sts import sts_figures
    from sempa.files import sha256_of

    if asked.data == HUB:
        yield from _hub_sts(encoder, report)
        return
    for path in _files_of(asked.data, (".tsv", ".csv")):

        def compute(path: Path = path) -> Figures:
            return sts_figures(_readers(encoder, report), read_scored_pairs(path)) | {"sha256": sha256_of(path)}

        yield path.stem, compute


def _hub_sts(encoder: Encoder, report: Callable[[str], None]) -> Iterator[Part]:
    from sempa.data.hub_rows import hub_rows
    from sempa.data.scored_pairs import scored_pairs_from_rows
    from sempa.evaluation.sts import sts_figures

    for name, (repository, split) in HUB_SETS.items():

        def compute(repository: str = repository, split: str = split) -> Figures:
            pairs = scored_pairs_from_rows(hub_rows(repository, split), f"{repository}, {split}")
            content = json.dumps([pairs.first, pairs.second, pairs.scores])
            return sts_figures(_readers(encoder, report), pairs) | {
                "sha256": hashlib.sha256(content.encode()).hexdigest()
            }

        yield name, compute


def _also_recipes(encoder: Encoder, asked: Measurement, also: Sequence[Encoder]) -> dict[str, Figures]:
    if also and asked.what != "baselines":
        raise InputError(f"Several adapters can be measured in one table of baselines, not of {asked.what}.")
    named = [each.pair.adapter.name for each in (encoder, *also) if each.pair.adapter]
    if len(set(named)) < len(named):
        raise InputError(f"Adapters of one table need names of their own, but these are {', '.join(named)}.")
    return {name: asdict(each.recipe(SEMPA)) for name, each in zip(named[1:], also, strict=True)}


def _baselines(
    encoder: Encoder, asked: Measurement, report: Callable[[str], None], also: Sequence[Encoder] = ()
) -> Iterator[Part]:
    from sempa.data.scored_pairs import read_scored_pairs
    from sempa.evaluation.baselines import baselines
    from sempa.evaluation.sts import sts_spearman

    paths = _files_of(asked.data, (".tsv", ".csv"))
    for name, prepare in baselines(encoder, also).items():

        def compute(prepare: Callable[[], Any] = prepare) -> Figures:
            encode = prepare()
            return {path.stem: round(sts_spearman(encode, read_scored_pairs(path)), 2) for path in paths}

        yield name, compute


def _generation(encoder: Encoder, asked: Measurement, report: Callable[[str], None]) -> Iterator[Part]:
    from sempa.evaluation.generation import PAPER, USUAL, generation_figures

    data = None if asked.data == HUB else asked.data
    for task in asked.tasks or (USUAL if data else PAPER):

        def compute(task: str = task) -> Figures:
            remember = functools.partial(cached, str(encoder.pair.info.precision))
            return generation_figures(encoder.pair, data, report, asked.limit, [task], remember=remember)

        yield task, compute


def _paraphrase(encoder: Encoder, asked: Measurement, report: Callable[[str], None]) -> Iterator[Part]:
    from sempa.evaluation.judge import open_judge
    from sempa.evaluation.paraphrase import paraphrase_figures, read_sentences

    judge = functools.cache(functools.partial(open_judge, asked.judge))

    def remember(what: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        return cached(str(encoder.pair.info.precision), {**what, "judge": asked.judge}, compute)

    for path in _files_of(asked.data, (".tsv",)):

        def compute(path: Path = path) -> Figures:
            sentences = read_sentences(path, asked.limit)
            found = paraphrase_figures(encoder.pair, sentences, judge(), report, remember=remember)
            return {f"{path.stem}, {name}": figures for name, figures in found.items()}

        yield path.stem, compute


def _judge(asked: Measurement) -> str:
    from sempa.evaluation.judge import HUB_NAME

    return Path(asked.judge).name if asked.judge and Path(asked.judge).exists() else asked.judge or HUB_NAME


def _retrieval(encoder: Encoder, asked: Measurement, report: Callable[[str], None]) -> Iterator[Part]:
    from sempa.evaluation.retrieval import read_retrieval, retrieval_figures

    def compute() -> Figures:
        data = read_retrieval(asked.data, asked.limit)
        report(f"{data.name}: {len(data.texts):,} texts, {len(data.queries):,} queries.")
        found = retrieval_figures(_readers(encoder, report), data)
        return {f"{data.name}, {name}": figures for name, figures in found.items()}

    yield asked.data.name, compute


def _geometry(encoder: Encoder, asked: Measurement, report: Callable[[str], None]) -> Iterator[Part]:
    import numpy as np

    from sempa.evaluation.geometry import geometry_figures, plane

    triplets, _ = read_triplets(asked.data)
    kept = subsample(triplets, asked.limit)
    columns = {
        "anchor": [triplet.anchor for triplet in kept],
        "positive": [triplet.entailment for triplet in kept],
        "negative": [triplet.contradiction for triplet in kept],
    }
    for variant, read in _readers(encoder, report).items():

        def compute(variant: str = variant, read: Callable[[Sequence[str]], Any] = read) -> Figures:
            report(f"{variant}: {len(kept):,} triplets.")
            rows = {name: read(sentences) for name, sentences in columns.items()}
            points, shares = plane(np.concatenate([values[:DRAWN] for values in rows.values()]))
            drawn = np.split(points.round(4), len(rows))
            return {
                "triplets": len(kept),
                **geometry_figures({variant: rows})[variant],
                "plane": {name: place.tolist() for name, place in zip(rows, drawn, strict=True)},
                "plane_variance": [round(share, 4) for share in shares],
            }

        yield variant, compute


def _tokens(encoder: Encoder, asked: Measurement, report: Callable[[str], None]) -> Iterator[Part]:
    import numpy as np

    from sempa.data.corpora import read_corpus
    from sempa.evaluation.tokens import TOP, aligned_ratio

    sentences = list(read_corpus(asked.data, at_most=asked.limit).texts)
    plain = Encoder(encoder.pair, replace(encoder.config, postprocess=None))  # tokens are those of the states as read
    for variant in encoder.variants:

        def compute(variant: str = variant) -> Figures:
            rows = dict(zip(sentences, read_rows(plain, variant, sentences, report), strict=True))

            def aligned(some: Sequence[str]) -> list[list[tuple[str, float]]]:
                return plain.top_tokens(np.stack([rows[sentence] for sentence in some]), variant, TOP)

            return aligned_ratio(sentences, aligned, encoder.own_tokens)

        yield variant, compute


KINDS: dict[str, tuple[str, Callable[[Encoder, Measurement, Callable[[str], None]], Iterator[Part]]]] = {
    "sts": (STS_KIND, _sts),
    "baselines": (BASELINES_KIND, _baselines),
    "generation": (PAIRED_KIND, _generation),
    "paraphrase": (PAIRED_KIND, _paraphrase),
    "retrieval": (PAIRED_KIND, _retrieval),
    "geometry": (GEOMETRY_KIND, _geometry),
    "tokens": (TOKENS_KIND, _tokens),
}
"""What can be measured: the kind of its result, and its parts."""
MEASURED = {
    "sts": "Spearman x100 of cosines, all pairs of a set at once",
    "baselines": "Spearman x100 of cosines, all pairs of a set at once, no post-processing",
    "generation": "Tasks of EleutherAI's lm-evaluation-harness; positive changes are for the better",
    "paraphrase": "Greedy paraphrases asked for by template P1; positive changes are for the better",
    "retrieval": "Cosine over all texts, measured by trec_eval; positive changes are for the better",
    "geometry": "Unit rows of NLI anchors, their entailments and contradictions",
    "tokens": "Share of the sentences' words that are among the ten tokens their own embeddings point at",
}
_SHAPES: dict[str, Callable[[dict[str, Figures]], Figures]] = {
    STS_KIND: lambda figures: {"sets": figures},
    BASELINES_KIND: lambda figures: {"methods": figures},
    PAIRED_KIND: lambda figures: {"tasks": {name: found for part in figures.values() for name, found in part.items()}},
    GEOMETRY_KIND: lambda figures: {"models": figures},
    TOKENS_KIND: lambda figures: {"models": figures},
}


def _files_of(data: Path, endings: Sequence[str]) -> list[Path]:
    named = " or ".join(ending[1:].upper() for ending in endings)
    if not data.exists():
        raise InputError(f"{data} does not exist: --data needs a {named} file, or a folder of them.")
    paths = [data] if data.is_file() else sorted(p for p in data.iterdir() if p.suffix in endings)
    if not paths:
        raise InputError(f"{data} holds no {named} file.")
    return paths


def _fingerprint(data: Path) -> str:
    """Return a SHA-256 over the data's files, their names in order and their bytes; of the hub's, over the names."""
    if data == HUB:
        return hashlib.sha256(json.dumps(HUB_SETS).encode()).hexdigest()
    if not data.exists():
        raise InputError(f"{data} does not exist: check --data.")
    digest = hashlib.sha256()
    for path in [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.is_file()):
        digest.update(json.dumps(path.name).encode())
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()
