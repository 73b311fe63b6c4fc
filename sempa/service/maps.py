"""Both models' vectors of an index as maps, with the share of neighbours that each map keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.embedding.index import SentenceIndex
from sempa.embedding.projection import neighbours, principal, shared, t_sne
from sempa.errors import InputError
from sempa.models.load import Report

MAX_MAPPED = 20_000
LEAST_MAPPED = 5
AROUND = 3
"""Texts around a query that say where it stands on a map."""
Points = NDArray[np.float32]


@dataclass(frozen=True)
class Plane:
    """Hold one model's map: (N, 2) points, and the share (0..1) of each text's ten nearest that are nearest on it."""

    points: Points
    kept: float


@dataclass
class IndexMaps:
    """Hold the maps of an index, computed once per model and method."""

    _planes: dict[tuple[EncoderConfig, bool], Plane] = field(default_factory=dict)

    def known(self, recipes: Mapping[str, EncoderConfig], *, near: bool) -> bool:
        """Return whether every model's map is computed."""
        return all((recipe, near) in self._planes for recipe in recipes.values())

    def of(
        self,
        index: SentenceIndex,
        recipes: Mapping[str, EncoderConfig],
        report: Report = lambda _: None,
        *,
        near: bool,
    ) -> dict[str, Plane]:
        """Return each model's map: principal components, or with `near` t-SNE, which takes seconds to minutes.

        Raises: InputError for fewer than LEAST_MAPPED or more than MAX_MAPPED texts.
        """
        if not LEAST_MAPPED <= len(index) <= MAX_MAPPED:
            raise InputError(f"The index has {len(index):,} texts: a map shows {LEAST_MAPPED} to {MAX_MAPPED:,} texts.")
        for number, (variant, recipe) in enumerate(recipes.items()):

            def counted(done: int, total: int, before: int = number, name: str = variant) -> None:
                share = (before + done / total) / len(recipes)
                report(f"Arranging neighbours, {name}: {share:.0%} of both maps")

            if (recipe, near) not in self._planes:
                rows = index.rows(recipe)
                points = t_sne(rows, counted) if near else principal(rows)
                kept = float(shared(neighbours(rows), neighbours(points)).mean())
                self._planes[recipe, near] = Plane(points, kept)
        return {variant: self._planes[recipe, near] for variant, recipe in recipes.items()}


def place(plane: Plane, nearest: list[int]) -> tuple[float, float]:
    """Return where a query stands on a map: the median of its nearest texts' points."""
    x, y = np.median(plane.points[nearest[:AROUND]], axis=0)
    return float(x), float(y)
