"""Search and comparison by codes: equal to brute force, and the listed parts add up to the score."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sempa.config import FEATURES, WORDS
from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.embedding.ranking import hits_payload
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio
from sempa.sparse.autoencoder import SparseCoder
from sempa.sparse.coders import Feature, FeatureCoder, FittedCodes, WordCoder, fit_direction

TEXTS = tuple(f"The {animal} is {state}." for animal in ("hare", "hound", "cat") for state in ("fast", "ill", "old"))
QUERY = "A fast cat."


@pytest.fixture
def studio(tuned_pair: ModelPair, tmp_path: Path) -> Studio:
    """Return a studio with a random coder: the results must hold for any coder."""
    SentenceIndex(Corpus(TEXTS, tuple({"topic": "animals"} for _ in TEXTS))).save(tmp_path / "index" / "demo")
    made = Studio(Encoder(tuned_pair), IndexStore(tmp_path / "index"), tmp_path / "results")
    rows = {variant: made.embed(TEXTS, variant) for variant in made.variants}
    features = [Feature((f"feature {i}",), (f"text {i}",)) for i in range(128)]
    fitted = {}
    for seed, (variant, values) in enumerate(rows.items()):
        coder = SparseCoder(32, 128, seed).requires_grad_(False)
        coder.begin_at(torch.from_numpy(values))
        fitted[variant] = FittedCodes(fit_direction(values), coder, features)
    made.coders = {WORDS: WordCoder(tuned_pair, fitted), FEATURES: FeatureCoder(fitted, "cd" * 32)}
    return made


@pytest.mark.parametrize("kind", [WORDS, FEATURES])
def test_hits_are_those_of_brute_force_and_their_parts_are_the_score(studio: Studio, kind: str) -> None:
    found = studio.search_codes(QUERY, k=9, kind=kind)
    coder = studio.coders[kind]
    scores = {}
    for variant in studio.variants:
        texts = coder.codes(studio.encoder.encode(TEXTS, variant), variant, 32).toarray()
        query = coder.queries([QUERY], studio.embed([QUERY], variant), variant, 32).toarray()[0]
        scores[variant] = texts @ query
    for variant, hits in found.items():
        assert [hit.hit.rank for hit in hits] == list(range(1, 10))
        for hit in hits:
            score = scores[variant][hit.hit.id]
            assert hit.hit.cosine == pytest.approx(score, abs=0.02)  # a byte an activation
            assert sum(part.size for part in hit.parts) == pytest.approx(hit.hit.cosine, abs=1e-5)
            assert [part.size for part in hit.parts] == sorted((part.size for part in hit.parts), reverse=True)
    ranks = {variant: {hit.hit.id: hit.hit.rank for hit in hits} for variant, hits in found.items()}
    for hit in found["base"]:
        assert hit.other_rank == ranks["sempa"][hit.hit.id]


def test_an_index_is_coded_once_from_the_vectors_it_holds(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    first = studio.search_codes(QUERY)
    assert [recipe.code is not None for recipe in studio.indexes.open("demo").recipes].count(True) == 2
    monkeypatch.setattr(SentenceIndex, "add", lambda *_: pytest.fail("coded again"))
    assert studio.search_codes(QUERY) == first


def test_two_sentences_share_parts_and_keep_others(studio: Studio) -> None:
    first, second = TEXTS[:2]
    found = studio.compare_codes(first, second)
    for variant, pair in found.items():
        codes = studio.coders[FEATURES].codes(studio.embed([first, second], variant), variant, 32).toarray()
        assert pair.cosine == pytest.approx(float(codes[0] @ codes[1]), abs=1e-5)
        both, one, other = (
            np.count_nonzero(kept)
            for kept in (codes[0] * codes[1], codes[0] * (codes[1] == 0), codes[1] * (codes[0] == 0))
        )
        assert (len(pair.shared), len(pair.first), len(pair.second)) == (both, one, other)
        assert pair.shared[0].label.startswith("feature ")
        assert pair.shared[0].texts == (pair.shared[0].label.replace("feature", "text"),)
    same = studio.compare_codes(first, first, WORDS)["sempa"]
    assert same.cosine == pytest.approx(1)
    assert same.first == same.second == []


def test_a_payload_says_what_matched(studio: Studio) -> None:
    dense = hits_payload(studio.search(QUERY, "demo", 3))
    coded = hits_payload(studio.search_codes(QUERY, "demo", 3))
    assert "matched" not in dense["base"][0]
    hit = coded["base"][0]
    assert sum(part["part"] for part in hit["matched"]) == pytest.approx(hit["cosine"], abs=5e-3)


def test_what_is_not_there_says_how_to_get_it(studio: Studio) -> None:
    with pytest.raises(InputError, match="choose words or features"):
        studio.search_codes(QUERY, kind="bits")
    with pytest.raises(InputError, match="k is 0"):
        studio.search_codes(QUERY, k=0)
    with pytest.raises(InputError, match="The query is empty"):
        studio.search_codes(" ")
    studio.coders = {}
    with pytest.raises(InputError, match="no sparse codes: fit them with"):
        studio.search_codes(QUERY)
