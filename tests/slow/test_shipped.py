"""What ships belongs together: adapter, demo index and results were made with the same weights."""

import pytest

from sempa import Encoder
from sempa.models.adapters import shipped_adapter
from sempa.studio import Studio

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studio() -> Studio:
    assert shipped_adapter(), "adapters/sempa is missing"
    return Studio(Encoder.default())


def test_the_demo_index_holds_the_vectors_this_model_gives(studio):
    assert studio.missing_vectors("demo") == []
    index = studio.index("demo")
    for variant in studio.variants:
        rows = studio.encoder.encode(index.corpus.texts[:20], variant)
        hits = index.search(studio.encoder.recipe(variant), rows, 1)
        assert [found[0].id for found in hits] == list(range(20))


def test_the_results_shown_are_of_the_shipped_adapter(studio):
    assert {result.text for result in studio.sts_results()} == {
        "SentEval's tokenised, lower-cased text",
        "raw text",
    }
    assert all(set(result.models) == {"base", "sempa"} for result in studio.sts_results())
