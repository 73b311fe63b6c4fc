"""Measure both models part by part. What was computed is cached, so the same measurement resumes if interrupted."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.evaluation.judge import HUB_NAME
from sempa.evaluation.parts import HUB, HUB_SETS, KINDS, Figures, Measurement, Report, baselines_parts
from sempa.evaluation.results import PAIRED_KIND, write_result
from sempa.machine import environment
from sempa.models.pair import SEMPA


def measure(
    encoder: Encoder,
    request: Measurement,
    output: Path | None = None,
    report: Report = lambda _: None,
    on_part: Callable[[str, Figures], None] = lambda _, __: None,
    also: Sequence[Encoder] = (),
) -> Figures:
    """Measure both variants and return the result, written to `output` if given.

    `report` receives progress messages, `on_part` the figures of each finished part. `also` adds adapters of the same
    base to the table of baselines.
    Raises: InputError for missing or malformed data or a missing package; StorageError.
    """
    if request.what not in KINDS:
        raise InputError(f"{request.what!r} cannot be measured: choose {', '.join(KINDS)}.")
    kind = KINDS[request.what]
    recipes = {variant: asdict(encoder.recipe(variant)) for variant in encoder.variants}
    others = _also_recipes(encoder, request, also)
    _require_known_flags(encoder, request)
    parts = functools.partial(baselines_parts, also=also) if others else kind.parts
    sha256 = _fingerprint(request.data)
    figures: Figures = {}
    for name, compute in parts(encoder, request, report):
        found = compute()
        figures |= found if kind.name == PAIRED_KIND else {name: found}
        on_part(name, found)
    result = {
        "kind": kind.name,
        "what": request.what,
        "text": request.text,
        "measure": kind.measure,
        kind.key: figures,
        "limit": request.limit,
        "data": {"name": request.data.name, "sha256": sha256},
        "recipes": recipes,
        **({"also": others} if others else {}),
        **({"judge": _judge(request)} if request.what == "paraphrase" else {}),
        **({"split": request.split} if request.what == "contrast" else {}),
        **({"weight": request.weight} if request.what == "contrast" or request.preference else {}),
        "postprocess": encoder.postprocess and encoder.postprocess.about,
        "adapter": encoder.pair.adapter and encoder.pair.adapter.name,
        "precision": str(encoder.pair.info.precision),
        **environment(),
        "seed": "0 for the bootstrap; nothing else is drawn",
    }
    if output is not None:
        write_result(result, output)
    return result


def _require_known_flags(encoder: Encoder, request: Measurement) -> None:
    if request.preference:
        encoder.recipe(SEMPA)  # raises without an adapter
    if request.preference and request.what not in ("sts", "retrieval"):
        raise InputError(f"--preference works with sts and retrieval, not with {request.what}.")
    if request.baselines and request.what != "contrast":
        raise InputError(f"--baselines works with contrast, not with {request.what}.")


def _also_recipes(encoder: Encoder, request: Measurement, also: Sequence[Encoder]) -> dict[str, Figures]:
    if also and request.what != "baselines":
        raise InputError(f"Only baselines can measure several adapters in one table, not {request.what}.")
    names = [each.pair.adapter.name for each in (encoder, *also) if each.pair.adapter]
    if len(set(names)) < len(names):
        raise InputError(f"Adapters of one table need different names, but these are {', '.join(names)}.")
    return {name: asdict(each.recipe(SEMPA)) for name, each in zip(names[1:], also, strict=True)}


def _judge(request: Measurement) -> str:
    return Path(request.judge).name if request.judge and Path(request.judge).exists() else request.judge or HUB_NAME


def _fingerprint(data: Path) -> str:
    """Return a SHA-256 over the names and bytes of the data files, in order; for the hub, over its names."""
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
