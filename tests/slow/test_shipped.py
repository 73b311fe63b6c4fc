"""Shipped files match: adapter, demo index and results were made with the same weights."""

import pytest

from sempa import Encoder
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import ModelPair
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapters() -> Adapters:
    first, *others = shipped_adapters()
    pair = ModelPair.open(adapter=first)
    return Adapters([Encoder(one) for one in (pair, *map(pair.with_adapter, others))])


@pytest.fixture(params=["sempa", "sempa-contrastive", "sempa-dpo"])
def studio(adapters: Adapters, request: pytest.FixtureRequest) -> Studio:
    return adapters.choose(request.param)


def test_all_are_offered_the_default_first(adapters: Adapters) -> None:
    assert adapters.names == ["sempa", "sempa-contrastive", "sempa-dpo"]


def test_the_demo_index_holds_the_vectors_this_model_gives(studio: Studio) -> None:
    assert studio.missing_vectors("demo") == []
    index = studio.indexes.open("demo")
    for variant in studio.variants:
        rows = studio.encoder.encode(index.corpus.texts[:20], variant)
        hits = index.search(studio.encoder.recipe(variant), rows, 1)
        assert [found[0].id for found in hits] == list(range(20))


def test_the_results_shown_are_of_the_shipped_adapter(studio: Studio) -> None:
    measured = {result.get("text") for result in studio.results()}
    assert "SentEval's tokenised, lower-cased text" in measured
