"""Search an index with several models' queries, and say where each hit ranks under the other model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sempa.config import EncoderConfig
from sempa.embedding.index import Hit, Query, SentenceIndex


@dataclass(frozen=True)
class RankedHit:
    """Hold a hit and the rank the same text has under the other model.

    The rank is None with a single model, or if the search is approximate and the text ranks below RANKED.
    """

    hit: Hit
    other_rank: int | None

    def payload(self) -> dict[str, Any]:
        """Return the hit as JSON types."""
        return {
            "rank": self.hit.rank,
            "text": self.hit.text,
            "cosine": float(np.clip(self.hit.cosine, -1, 1)),
            "other_rank": self.other_rank,
        }


def search_each(
    index: SentenceIndex, recipes: Mapping[str, EncoderConfig], queries: Mapping[str, Query], k: int
) -> dict[str, list[RankedHit]]:
    """Return each model's k nearest texts to one query, (1, D) unit rows or (1, H) codes by model, best first.

    Raises: what `SentenceIndex.search` raises.
    """
    found = {}
    for variant, query in queries.items():
        hits = index.search(recipes[variant], query, k)[0]
        ranks: list[int | None] = [None] * len(hits)
        for other in queries:
            if other != variant:
                ranks = index.ranks(recipes[other], queries[other], [hit.id for hit in hits])
        found[variant] = [RankedHit(hit, rank) for hit, rank in zip(hits, ranks, strict=True)]
    return found


def hits_payload(found: Mapping[str, Sequence[RankedHit]]) -> dict[str, list[dict[str, Any]]]:
    """Return a search's answer as JSON types: for each model a list of rank, text, cosine, rank under the other."""
    return {variant: [hit.payload() for hit in hits] for variant, hits in found.items()}
