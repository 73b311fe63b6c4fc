"""The texts of an index whose nearest texts differ most between two models."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sempa.config import EncoderConfig
from sempa.embedding.index import SentenceIndex
from sempa.embedding.projection import neighbours, shared
from sempa.errors import InputError

MAX_COMPARED = 20_000
"""Maximum texts of which every pair is compared."""
SHOWN = 3
"""Nearest texts returned with each text."""


@dataclass(frozen=True)
class Disagreement:
    """Hold a text, the share (0..1) of its ten nearest texts common to both models, and each model's nearest SHOWN."""

    text: str
    shared: float
    nearest: Mapping[str, list[str]]


def disagreements(index: SentenceIndex, recipes: Mapping[str, EncoderConfig], count: int) -> list[Disagreement]:
    """Return the `count` texts whose neighbourhoods the models share least, least first, then in the index's order.

    Raises: InputError for a single model, or fewer than 2 or more than MAX_COMPARED texts.
    """
    if len(recipes) < 2:
        raise InputError("Only the base model is loaded: start the app with --adapter to compare two models.")
    if not 2 <= len(index) <= MAX_COMPARED:
        raise InputError(f"The index has {len(index):,} texts: every pair is compared for 2 to {MAX_COMPARED:,} texts.")
    near = {variant: neighbours(index.rows(recipe)) for variant, recipe in recipes.items()}
    shares = shared(*near.values())
    texts = index.corpus.texts
    return [
        Disagreement(
            texts[at],
            float(shares[at]),
            {variant: [texts[other] for other in ids[at, :SHOWN]] for variant, ids in near.items()},
        )
        for at in np.argsort(shares, kind="stable")[:count]
    ]
