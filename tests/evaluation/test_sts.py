"""Scored pairs: read verbatim, each sentence encoded once, correlated over all pairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from shared import set_scores

from sempa.data.scored_pairs import ScoredPairs, read_scored_pairs, scored_pairs_from_rows
from sempa.errors import InputError
from sempa.evaluation.sts import is_test, measured_pairs, sts_spearman

GOOD = "score\tsentence1\tsentence2\n"


def _file(tmp_path: Path, content: str | bytes, name: str = "dev.tsv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_tsv_is_unquoted(tmp_path: Path) -> None:
    """Quotes are text in TSV: an unpaired quote must not swallow the following rows."""
    rows = '4.2\t"A lone quote\tsays "no", twice\n0\tNone\tNA\n5.0\té "😀"\t\'x\'\n'
    pairs = read_scored_pairs(_file(tmp_path, GOOD + rows))
    assert pairs.first == ('"A lone quote', "None", 'é "😀"')
    assert pairs.second == ('says "no", twice', "NA", "'x'")
    assert pairs.scores == (4.2, 0.0, 5.0)


def test_csv_is_quoted_and_columns_are_found_by_name(tmp_path: Path) -> None:
    text = 'sentence2,genre,score,sentence1\r\n"b, ""b""",news,1.5,"two\nlines"\r\n'
    pairs = read_scored_pairs(_file(tmp_path, "\ufeff" + text, "pairs.csv"))
    assert (pairs.first, pairs.second, pairs.scores) == (("two\nlines",), ('b, "b"',), (1.5,))


def test_the_name_tells_folder_and_file(tmp_path: Path) -> None:
    (tmp_path / "stsb").mkdir()
    assert read_scored_pairs(_file(tmp_path / "stsb", GOOD + "1\ta\tb\n")).name == "stsb/dev"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "label\tsentence1\tsentence2\n1\ta\tb\n", "lacks the columns score"),
        ("a.csv", GOOD + "1\ta\tb\n", "lacks the columns score, sentence1, sentence2"),
        ("a.tsv", "1.0\ta\tb\n2.0\tc\td\n", "lacks the columns score, sentence1, sentence2"),
        ("a.tsv", GOOD + "1\ta\tb\nhigh\tc\td\n", "row 2 has the score 'high', which is not a number"),
        ("a.tsv", GOOD + "1\ta\tb\n\tc\td\n", "row 2 has the score '', which is not a number"),
        ("a.tsv", GOOD + "nan\ta\tb\n", "row 1 has the score 'nan', which is not a number"),
        ("a.tsv", GOOD + "1\ta\n", "row 1 has no sentence2"),
        ("a.tsv", GOOD + "1\ta\tb\n2\n", "row 2 has no sentence1"),
        ("a.tsv", GOOD, "contains no scored pair"),
        ("a.tsv", "", "contains no scored pair"),
        ("a.tsv", b"\x1f\x8b\x08", "is not UTF-8 text"),
        ("a.csv", 'score,sentence1,sentence2\n1,"' + "x" * 200_000 + '",b\n', "row 1 cannot be read as CSV"),
    ],
    ids=range(12),
)
def test_what_is_no_table_of_scored_pairs_is_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_scored_pairs(_file(tmp_path, content, name))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere.tsv does not exist"):
        read_scored_pairs(tmp_path / "nowhere.tsv")


def test_rows_may_be_of_numbers() -> None:
    pairs = scored_pairs_from_rows([{"score": 3, "sentence1": "a", "sentence2": "b", "split": "dev"}], "hub")
    assert pairs == ScoredPairs("hub", ("a",), ("b",), (3.0,))


class _Encoder:
    """Give every sentence a unit vector at an angle derived from its text, and count requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        self.asked += sentences
        angles = np.array([sum(map(ord, sentence)) % 97 / 97 * np.pi for sentence in sentences])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_score_agrees_with_scipy_over_all_pairs() -> None:
    generator = np.random.default_rng(1)
    first = [f"sentence {i}" for i in generator.integers(0, 40, 120)]
    second = [f"another {i}" for i in generator.integers(0, 40, 120)]
    scores = generator.integers(0, 11, 120) / 2
    encode = _Encoder()
    pairs = ScoredPairs("test", tuple(first), tuple(second), tuple(scores))
    cosines = [float(encode([a])[0] @ encode([b])[0]) for a, b in zip(first, second, strict=True)]
    assert sts_spearman(encode, pairs) == pytest.approx(spearmanr(cosines, scores).statistic * 100, abs=0.05)


def test_several_sets_have_a_score_each_and_their_mean() -> None:
    sets = {
        "up": ScoredPairs("up", ("a", "a", "a"), ("a", "b", "q"), (3.0, 2.0, 1.0)),
        "down": ScoredPairs("down", ("a", "a", "a"), ("a", "b", "q"), (1.0, 2.0, 3.0)),
    }
    assert set_scores(_Encoder(), sets) == {"sets": {"up": 100.0, "down": -100.0}, "mean": 0.0}


def test_every_sentence_is_encoded_once() -> None:
    encode = _Encoder()
    pairs = ScoredPairs("test", ("a", "b", "a"), ("c", "a", "dd"), (1.0, 2.0, 3.0))
    sts_spearman(encode, pairs)
    assert sorted(encode.asked) == ["a", "b", "c", "dd"]


def test_an_encoder_that_says_the_same_of_all_is_an_input_error() -> None:
    pairs = ScoredPairs("test", ("a", "b"), ("c", "d"), (1.0, 2.0))
    with pytest.raises(InputError, match="at least two different values"):
        sts_spearman(lambda texts: np.tile(np.array([[1, 0]], np.float32), (len(texts), 1)), pairs)


def test_figures_of_two_models_hold_their_scores_and_the_change() -> None:
    encode = _Encoder()
    texts = tuple(f"sentence {i * i}" for i in range(60))
    pairs = ScoredPairs("test", texts, texts[::-1], tuple(float(i % 7) for i in range(60)))

    def other(sentences: Sequence[str]) -> NDArray[np.float32]:
        return encode([sentence + "!" * len(sentence) for sentence in sentences])

    figures = measured_pairs({"base": encode, "sempa": other}, pairs).figures
    scores = [round(sts_spearman(reader, pairs), 2) for reader in (encode, other)]
    assert figures["pairs"] == 60
    assert [figures[model]["spearman"] for model in ("base", "sempa")] == scores
    assert figures["change"]["spearman"] == pytest.approx(scores[1] - scores[0], abs=0.011)
    assert figures["change"]["low"] <= figures["change"]["spearman"] <= figures["change"]["high"]
    assert "change" not in measured_pairs({"base": encode}, pairs).figures


@pytest.mark.parametrize(
    ("name", "tests"),
    [("sts12", True), ("stsb-test", True), ("stsb-dev", False), ("stsb-dev-third", False), ("Sick_Train", False)],
)
def test_a_part_of_a_development_set_is_none_for_testing(name: str, tests: bool) -> None:
    assert is_test(name) == tests
    assert is_test("device")
