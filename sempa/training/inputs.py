"""Load the data of a training run: triplets, and scored pairs that select the checkpoint."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sempa.config import DEFAULT_BASE, TrainConfig
from sempa.data.hub_rows import rows_of
from sempa.data.negation import balance_negations
from sempa.data.rows import TABLES
from sempa.data.scored_pairs import ScoredPairs, scored_pairs_from_rows
from sempa.data.triplets import (
    SAMPLE_TRIPLETS,
    Triplet,
    TripletReport,
    read_neutrals,
    split_held_out,
    triplets_from_rows,
    with_neutrals,
)
from sempa.errors import InputError
from sempa.files import sha256_of
from sempa.models.prompts import request_text
from sempa.training.preferences import Preference, preferences


@dataclass(frozen=True)
class TrainRequest:
    """Request a training run: `data` None means the sample triplets; an empty `dev` means held-out triplets.

    `given` names the settings that the user chose; they are not adjusted to the data. `adapter` is one whose training
    continues; None means a fresh one.
    """

    output: Path
    config: TrainConfig
    data: str | None = None
    neutrals: Path | None = None
    dev: tuple[str, ...] = ()
    base: str = DEFAULT_BASE
    adapter: str | None = None
    precision: str = "auto"
    device: str = "auto"
    license: str | None = None
    attribution: str | None = None
    resume: bool = False
    keep_checkpoints: bool = False
    given: frozenset[str] = frozenset()


def run_triplets(request: TrainRequest) -> tuple[list[Triplet], list[Triplet], TripletReport]:
    """Return the training triplets, the triplets held out for scoring, and a report on the data read.

    Raises: InputError if the data is empty or unreachable.
    """
    triplets, read = _triplets(request.data, request.config, request.neutrals)
    if request.dev:
        return triplets, [], read
    return *split_held_out(triplets, request.config.seed, share=0.1 if request.data else 0.2), read


def development_pairs(dev: str) -> ScoredPairs:
    """Return the scored pairs of a file or of a hub data set's validation split.

    Raises: InputError if they are unusable or unreachable.
    """
    path = Path(dev)
    name = f"{path.parent.name}/{path.stem}" if path.suffix.lower() in TABLES and ":" not in dev else dev
    return scored_pairs_from_rows(rows_of(dev, "validation"), name)


def source_name(data: str | None) -> str:
    """Return the name of a data file or hub data set."""
    if data is None:
        return "sample triplets"
    return Path(data).name if Path(data).is_file() else data


def source_sha256(data: str | None) -> str | None:
    """Return the SHA-256 of a data file or of the sample triplets; None for a hub data set."""
    path = SAMPLE_TRIPLETS if data is None else Path(data)
    return sha256_of(path) if path.is_file() else None


def preview(data: str | None, config: TrainConfig, tokenizer: Any, count: int = 20) -> tuple[str, list[Preference]]:
    """Return a report on the data read and the first examples, with requests rendered as the model sees them.

    Raises: any SempaError of the parts.
    """
    triplets, read = _triplets(data, config, None)
    return str(read), [
        replace(one, request=request_text(tokenizer, one.request)) if one.request and one.chat else one
        for one in preferences(triplets[:count], config)
    ]


def _triplets(data: str | None, config: TrainConfig, neutrals: Path | None) -> tuple[list[Triplet], TripletReport]:
    source = str(SAMPLE_TRIPLETS) if data is None else data
    triplets, read = triplets_from_rows(rows_of(source, "train"), source)
    if neutrals:
        count = len(triplets)
        triplets = with_neutrals(triplets, read_neutrals(neutrals))
        if not triplets:
            raise InputError(f"No anchor among the triplets has a neutral sentence in {neutrals}.")
        read.leave_out(count - len(triplets), "without a neutral sentence")
    return (balance_negations(triplets, read) if config.balance_negation else triplets), read
