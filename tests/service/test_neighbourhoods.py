"""The texts that two models place among different neighbours come first."""

import numpy as np
import pytest

from sempa.config import EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError
from sempa.service.neighbourhoods import disagreements

RECIPES = {"base": EncoderConfig("tiny"), "sempa": EncoderConfig("tiny", adapter="a" * 64)}


def _index(moved: int) -> SentenceIndex:
    """Return 30 texts in two groups; under the second recipe, `moved` has changed groups."""
    generator = np.random.default_rng(0)
    rows = np.zeros((30, 8), np.float32)
    rows[:15, 0] = rows[15:, 1] = 1
    rows[:, 2:] = generator.normal(0, 0.1, (30, 6))
    other = rows.copy()
    other[moved, :2] = rows[moved, 1::-1]
    index = SentenceIndex(Corpus(tuple(f"text {i}" for i in range(30)), tuple({} for _ in range(30))))
    for recipe, vectors in zip(RECIPES.values(), (rows, other), strict=True):
        index.add(recipe, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return index


def test_a_text_that_changed_groups_comes_first() -> None:
    first, *others = disagreements(_index(4), RECIPES, 5)
    assert (first.text, first.shared, len(others)) == ("text 4", 0.0, 4)
    assert all(int(text.split()[1]) < 15 for text in first.nearest["base"])
    assert all(int(text.split()[1]) >= 15 for text in first.nearest["sempa"])
    assert all(found.shared > 0 for found in others)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="Only the base model"):
        disagreements(_index(4), {"base": RECIPES["base"]}, 5)
