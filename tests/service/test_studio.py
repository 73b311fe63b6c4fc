"""The studio's API: equal to brute force, independent of other requests, bounded, with clear errors."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import TEXTS, SentenceIndex
from sempa.embedding.ranking import hits_payload
from sempa.embedding.vectors import Approximation
from sempa.errors import InputError, RecipeMismatch, StorageError
from sempa.evaluation.results import write_result
from sempa.models.generate import Sampling
from sempa.models.pair import ModelPair
from sempa.models.preference import preference
from sempa.service.adapters import Adapters
from sempa.service.embedding_cache import EmbeddingCache
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio

TEXT = tuple(
    f"The {animal} is {state}." for animal in ("hare", "hound", "cat", "ox") for state in ("fast", "ill", "old")
)
A, B = "The hare outran the hound.", "The hound outran the hare."


@pytest.fixture
def roots(tmp_path: Path) -> tuple[IndexStore, Path]:
    SentenceIndex(Corpus(TEXT, tuple({"topic": "animals"} for _ in TEXT))).save(tmp_path / "index" / "demo")
    return IndexStore(tmp_path / "index"), tmp_path / "results"


@pytest.fixture
def studio(tuned_pair: ModelPair, roots: tuple[IndexStore, Path]) -> Studio:
    return Studio(Encoder(tuned_pair), *roots)


@pytest.fixture
def base_alone(tiny_pair: ModelPair, roots: tuple[IndexStore, Path]) -> Studio:
    return Studio(Encoder(tiny_pair), *roots)


def test_similarity_is_the_dot_product_of_embed(studio: Studio) -> None:
    cosines = studio.similarity(A, B)
    assert list(cosines) == ["base", "sempa"]
    for variant, cosine in cosines.items():
        first, second = studio.embed([A, B], variant)
        assert cosine == pytest.approx(float(first.astype(np.float64) @ second), abs=1e-6)
        assert np.linalg.norm(first) == pytest.approx(1, abs=1e-6)
    assert cosines["base"] != cosines["sempa"]
    assert studio.similarity(B, A) == pytest.approx(cosines)
    assert all(1 - 1e-6 <= value <= 1 for value in studio.similarity(A, A).values())


def test_preference_is_the_log_ratio_of_both_models(studio: Studio) -> None:
    assert studio.preference(A, B) == pytest.approx(preference(studio.pair, [(A, B)])[0])
    assert studio.preference(A, B) == pytest.approx(studio.preference(B, A), abs=1e-4)
    assert studio.preference(A, B) != pytest.approx(studio.preference(A, A), abs=1e-4)


def test_candidates_are_scored_each_by_itself_and_those_without_an_end_come_last(studio: Studio) -> None:
    texts = {"base": [B, "The hound ran.", B], "sempa": ["A hare was fast"]}
    found = studio.candidates(A, texts, {B})
    for group in found.values():
        for one in group:
            assert one.preference == pytest.approx(studio.preference(A, one.text), abs=1e-5)
            assert one.cosine == pytest.approx(studio.similarity(A, one.text)["sempa"], abs=1e-5)
    assert [(one.text, one.times) for one in found["base"]] == [("The hound ran.", 1), (B, 2)]
    assert "cut off at the token limit" in found["base"][-1].faults


def test_a_vector_is_identical_whatever_else_is_in_the_request(
    tuned_pair: ModelPair, roots: tuple[IndexStore, Path]
) -> None:
    requests = [[A], [A, B], [B, "x" * 300, A], [*TEXT, A], [A, A]]
    for variant in ("base", "sempa"):
        vectors = []
        for request in requests:
            fresh = Studio(Encoder(tuned_pair), *roots)  # empty cache
            rows = fresh.embed(request, variant)
            assert rows.shape == (len(request), tuned_pair.width)
            vectors.append(rows[request.index(A)])
        assert all(np.array_equal(vector, vectors[0]) for vector in vectors)


def test_the_cache_is_bounded_and_nothing_in_it_is_computed_again(
    tuned_pair: ModelPair, roots: tuple[IndexStore, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio(Encoder(tuned_pair), *roots, EmbeddingCache(5))
    read: list[str] = []
    encode_each = studio.encoder.encode_each

    def counted(sentences: list[str]) -> Any:
        read.extend(sentences)
        return encode_each(sentences)

    monkeypatch.setattr(studio.encoder, "encode_each", counted)
    first = studio.embed([A, B, A], "base")
    assert read == [A, B]
    again = studio.embed([B, A], "base")
    assert read == [A, B]
    assert np.array_equal(again, first[[1, 0]])
    many = studio.embed(TEXT, "base")
    assert len(studio.cache._rows) == 5
    assert np.array_equal(many, encode_each(TEXT)["base"])
    assert studio.embed([A], "sempa").tolist() != first[:1].tolist()


@pytest.mark.parametrize(
    ("sentences", "says"),
    [
        (["a", "b", " "], "Sentence 3 is empty"),
        (["a", "a", ""], "Sentence 3 is empty"),
        (["a", None], "Sentence 2 is empty"),
        (["a", 5], "Sentence 2 is int"),
        (["a", ["b"]], "Sentence 2 is list"),
        ("one text", "list of texts"),
        (5, "list of texts"),
        (["x" * 100_000], "Sentence 1 has 100,000 characters, but the limit is 5,000"),
        (["x"] * 257, "There are 257 sentences, but the limit per request is 256"),
        (["half \ud83e"], "half a character"),
    ],
)
def test_unusable_sentences_are_named(studio: Studio, sentences: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        studio.embed(sentences, "base")


def test_the_limits_themselves_are_allowed(studio: Studio) -> None:
    assert studio.embed(["x"] * 256, "base").shape == (256, 32)
    assert studio.embed(["x" * 5_000], "base").shape == (1, 32)
    assert studio.embed([], "base").shape == (0, 32)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda s: s.embed([A], "tuned"), "no model 'tuned' here, only base and sempa"),
        (lambda s: s.embed([], "tuned"), "no model 'tuned' here"),
        (lambda s: s.similarity("", B), "first sentence is empty"),
        (lambda s: s.similarity(A, "\n"), "second sentence is empty"),
        (lambda s: s.similarity(A, "x" * 100_000), "second sentence has 100,000 characters"),
        (lambda s: s.preference("", B), "first sentence is empty"),
        (lambda s: s.preference(A, "x" * 5_000), "shorten it"),
        (lambda s: s.search(" "), "query is empty"),
        (lambda s: s.search("x" * 5_001), "query has 5,001 characters"),
        (lambda s: s.search("q", "nope"), "no index 'nope': choose one of demo"),
        (lambda s: s.search("q", "../index/demo"), "no index '../index/demo'"),
        (lambda s: s.search("q", k=0), "k is 0: choose a whole number from 1 to 100"),
        (lambda s: s.search("q", k=101), "k is 101"),
        (lambda s: s.search("q", k=2.5), "k is 2.5"),
        (lambda s: s.search("q", k="3"), "k is '3'"),
        (lambda s: s.paraphrase("", Sampling()), "sentence is empty"),
        (lambda s: s.paraphrase(A, Sampling(), "no place"), "Template 'no place' is neither"),
        (lambda s: s.answer(" ", Sampling()), "prompt is empty"),
        (lambda s: next(s.answer("x" * 2_000, Sampling())), "exceeds the model's limit of 1,024"),
    ],
)
def test_mistakes_are_input_errors(studio: Studio, ask: Callable[[Studio], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ask(studio)


def _order(encoder: Encoder, query: str, variant: str) -> tuple[list[int], np.ndarray]:
    rows = encoder.encode(TEXT, variant)
    cosines = rows @ encoder.encode_each([query])[variant][0]
    return sorted(range(len(TEXT)), key=lambda i: -cosines[i]), cosines


def test_search_equals_brute_force_with_the_other_model_s_ranks(studio: Studio) -> None:
    found = studio.search(A, k=7)
    orders = {variant: _order(studio.encoder, A, variant) for variant in ("base", "sempa")}
    for variant, other in (("base", "sempa"), ("sempa", "base")):
        order, cosines = orders[variant]
        assert [ranked.hit.text for ranked in found[variant]] == [TEXT[i] for i in order[:7]]
        assert [ranked.other_rank for ranked in found[variant]] == [orders[other][0].index(i) + 1 for i in order[:7]]
        np.testing.assert_allclose([ranked.hit.cosine for ranked in found[variant]], cosines[order[:7]], atol=1e-5)
    assert [ranked.other_rank for ranked in found["base"]] != list(range(1, 8))
    assert len(studio.search(A, k=100)["base"]) == len(TEXT)


def test_payload_says_the_same_in_json_types(studio: Studio) -> None:
    found = studio.search(A, k=2)
    for variant, hits in hits_payload(found).items():
        for hit, ranked in zip(hits, found[variant], strict=True):
            assert hit["cosine"] == pytest.approx(ranked.hit.cosine)
            assert (hit["rank"], hit["text"], hit["other_rank"]) == (
                ranked.hit.rank,
                ranked.hit.text,
                ranked.other_rank,
            )
            assert [type(value) for value in hit.values()] == [int, str, float, int]


def test_standing_is_the_share_of_pairs_that_are_less_alike(studio: Studio) -> None:
    assert studio.percentiles({"base": 0.5}) == {}  # no vectors yet
    studio.embed_index("demo")
    for variant in ("base", "sempa"):
        rows = studio.encoder.encode(TEXT, variant)
        every = (rows @ rows.T)[~np.eye(len(TEXT), dtype=bool)]
        for cosine in (-2.0, *np.quantile(every, [0.2, 0.5, 0.9]), 2.0):
            share = studio.percentiles({variant: float(cosine)})[variant]
            assert share == pytest.approx(float((every < cosine).mean()), abs=0.02)


def test_progress_is_told_while_an_index_is_read_and_then_never_again(studio: Studio) -> None:
    assert studio.missing_vectors("demo") == ["base", "sempa"]
    lines: list[str] = []
    studio.embed_index("demo", lines.append)
    assert lines[0] == "Computing vectors: 0 of 24"
    assert lines[-1].startswith("Computing vectors: 24 of 24, ")
    assert lines[-1].endswith(" 0 s left")
    assert studio.missing_vectors("demo") == []
    lines.clear()
    studio.embed_index("demo", lines.append)
    assert lines == []


def test_nobody_waits_for_another_index_to_be_read(studio: Studio) -> None:
    studio.embed_index("demo")
    with ThreadPoolExecutor(1) as pool, studio.indexes.open("demo").adding():  # another visitor's is under way
        assert pool.submit(studio.search, "a quiet place").result(timeout=60)["base"]


def test_a_large_index_is_not_read_while_a_visitor_waits(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sempa.service.studio.MAX_TEXTS", len(TEXT) - 1)
    with pytest.raises(RecipeMismatch, match="'demo' .12 texts. has no vectors of base.*sempa index demo"):
        studio.search(A)


def test_a_damaged_index_is_a_storage_error(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "index" / "demo" / "sempa.json").write_text("{}")
    with pytest.raises(StorageError, match="damaged"):
        studio.search(A)


def test_base_alone_works_everywhere(base_alone: Studio) -> None:
    assert base_alone.variants == ("base",)
    assert list(base_alone.similarity(A, B)) == ["base"]
    with pytest.raises(InputError, match="no model 'sempa' here, only base: load an adapter"):
        base_alone.preference(A, B)
    found = base_alone.search(A, k=3)
    assert list(found) == ["base"]
    assert [ranked.other_rank for ranked in found["base"]] == [None] * 3
    assert list(base_alone.percentiles({"base": 2.0}).values()) == [1.0]
    for texts in (
        base_alone.paraphrase(A, Sampling(n=2, max_new_tokens=3)),
        base_alone.answer(A, Sampling(n=2, max_new_tokens=3)),
    ):
        *_, last = texts
        assert [(variant, len(written)) for variant, written in last.items()] == [("base", 2)]
    with pytest.raises(InputError, match="no model 'sempa' here, only base"):
        base_alone.embed([A], "sempa")


def _written(studio: Studio, sentence: str) -> dict[str, list[str]]:
    *_, last = studio.paraphrase(sentence, Sampling(n=2, temperature=1, max_new_tokens=12, seed=5))
    return last


def test_eight_threads_get_the_answers_of_one(tuned_pair: ModelPair, roots: tuple[IndexStore, Path]) -> None:
    """Each thread mixes all kinds of request; no answer may come from the wrong variant."""
    asks: dict[str, Callable[[Studio, str], Any]] = {
        "similarity": lambda s, text: s.similarity(A, text),
        "preference": lambda s, text: s.preference(A, text),
        "search": lambda s, text: hits_payload(s.search(text, k=4)),
        "paraphrase": _written,
    }
    texts = TEXT[:4]
    alone = Studio(Encoder(tuned_pair), *roots)
    expected = {(kind, text): ask(alone, text) for kind, ask in asks.items() for text in texts}
    shared = Studio(Encoder(tuned_pair), *roots)
    wrong: list[tuple[str, str]] = []
    done: list[int] = []

    def visit(start: int) -> None:
        order = list(expected)
        for kind, text in order[start:] + order[:start]:
            if asks[kind](shared, text) != expected[kind, text]:
                wrong.append((kind, text))
        done.append(start)

    threads = [threading.Thread(target=visit, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(done) == list(range(8))


def test_only_results_of_this_model_and_adapter_are_shown(studio: Studio, roots: tuple[IndexStore, Path]) -> None:
    assert studio.results() == []
    about = {"hardware": "h", "date": "d", "precision": "p"}
    sets = {"a-test": {"pairs": 2, "base": {"spearman": 1.0}, "sempa": {"spearman": 2.0}}}
    own = {variant: studio.encoder.recipe(variant) for variant in ("base", "sempa")}
    others = {**own, "sempa": replace(own["sempa"], adapter="0" * 64)}
    for name, recipes in (("own", own), ("other", others), ("base alone", {"base": own["base"]})):
        written = {variant: asdict(recipe) for variant, recipe in recipes.items()}
        result = {"kind": "sts", "text": name, "sets": sets, "recipes": written, **about}
        write_result(result, roots[1] / f"{name}.json")
    (roots[1] / "speed.json").write_text('{"kind": "speed"}')
    assert [result["text"] for result in studio.results()] == ["own"]


def test_demo_is_listed_first(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "index" / "aa").mkdir()
    (tmp_path / "index" / "aa" / TEXTS).write_text("text\nx\n")
    assert studio.indexes.names() == ["demo", "aa"]


def test_studios_of_two_adapters_share_what_the_base_has_read(
    tuned_pair: ModelPair, other_adapter: Path, roots: tuple[IndexStore, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [tuned_pair, tuned_pair.with_adapter(str(other_adapter))]
    adapters = Adapters([Encoder(pair) for pair in pairs], *roots)
    first, second = map(adapters.choose, adapters.names)
    assert adapters.names[1] == "other"
    assert adapters.choose() is first
    read: list[tuple[str, str]] = []
    for studio in (first, second):

        def counted(texts: Any, _real: Any = studio.encoder.encode_each, _adapter: str = studio.adapter) -> Any:
            read.extend((text, _adapter) for text in texts)
            return _real(texts)

        monkeypatch.setattr(studio.encoder, "encode_each", counted)
    cosines = [studio.similarity(A, B) for studio in (first, second, first)]
    assert read == [(text, studio.adapter) for studio in (first, second) for text in (A, B)]
    assert cosines[0] == cosines[2]
    assert cosines[0]["base"] == cosines[1]["base"]
    assert cosines[0]["sempa"] != cosines[1]["sempa"]
    first.embed_index("demo")
    assert second.missing_vectors("demo") == ["sempa"]
    with pytest.raises(InputError, match=f"no adapter 'absent': choose one of {first.adapter}, other"):
        adapters.choose("absent")


def test_adapters_of_one_name_are_told_by_their_whole_path(
    tuned_pair: ModelPair, other_adapter: Path, roots: tuple[IndexStore, Path]
) -> None:
    twins = [tuned_pair.with_adapter(str(other_adapter)), tuned_pair]
    copy = roots[1] / "else" / "other"
    shutil.copytree(other_adapter, copy)
    twins.append(tuned_pair.with_adapter(str(copy)))
    adapters = Adapters([Encoder(pair) for pair in twins], *roots)
    assert adapters.names == [str(other_adapter), Path(tuned_pair.adapter.source).name, str(copy)]


def test_a_base_alone_has_one_nameless_studio(tiny_pair: ModelPair, roots: tuple[IndexStore, Path]) -> None:
    adapters = Adapters([Encoder(tiny_pair)], *roots)
    assert adapters.names == [""]
    assert adapters.choose().variants == ("base",)


def test_an_approximate_search_says_how_far_it_can_be_trusted(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.embed_index("demo")
    assert studio.approximation_note("demo") == ""
    monkeypatch.setattr(SentenceIndex, "approximation", lambda *_: Approximation(64, 8, 0.963))
    assert "it finds 96% and 96% of the exact ten nearest (base and sempa)" in studio.approximation_note("demo")
