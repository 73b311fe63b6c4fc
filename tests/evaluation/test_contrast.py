"""Contrast figures by hand: given margins, intervals from Wilson's formula."""

import math
from pathlib import Path

import numpy as np
import pytest

from sempa.errors import InputError
from sempa.evaluation import contrast
from sempa.evaluation.contrast import Contrast, contrast_figures, cosine_margins, read_contrast, score_margins
from sempa.evaluation.tables import result_table
from sempa.evaluation.verdicts import title, verdict

TRIPLETS = [
    Contrast("He left.", "He went away.", "He stayed.", "antonym"),
    Contrast("She sang.", "She gave a song.", "She never sang.", "negation"),
    Contrast("Ann paid Bo.", "Bo got money from Ann.", "Bo paid Ann.", "roles"),
    Contrast("Ann saw Bo.", "Bo was seen by Ann.", "Bo saw Ann.", "roles"),
]


def _wilson(right: int, of: int) -> tuple[float, float]:
    z, share = 1.959964, right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return 100 * (middle - half), 100 * (middle + half)


def test_figures_by_hand() -> None:
    before = np.array([0.1, -0.1, 0.0, -0.2])  # a tie is an error
    after = np.array([0.1, 0.3, 0.2, -0.2])
    found = contrast_figures(TRIPLETS, {"base": before, "sempa": after}, errors=True)
    kinds = found["kinds"]
    assert list(kinds) == ["antonym", "negation", "roles", "all"]
    assert [each["figure"] for each in kinds.values()] == [100, 100, 50, 75]
    assert [each["items"] for each in kinds.values()] == [1, 1, 2, 4]
    assert (kinds["all"]["low"], kinds["all"]["high"]) == pytest.approx(_wilson(3, 4), abs=0.01)
    assert kinds["all"]["change"]["figure"] == 50
    assert kinds["all"]["change"]["p"] == 0.5  # two of two discordant triplets: 2 * 0.5 ** 2
    assert kinds["antonym"]["change"]["p"] == 1
    assert [(each["sentence"], each["errs"]) for each in found["errors"]] == [
        ("She sang.", "base"),
        ("Ann paid Bo.", "base"),
    ]
    (alone,) = (contrast_figures(TRIPLETS, {"base": before}, errors=True),)
    assert [each["figure"] for each in alone["kinds"].values()] == [100, 0, 0, 25]
    assert "change" not in alone["kinds"]["all"]
    assert "errors" not in alone


def test_errors_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast, "MAX_ERRORS", 3)
    found = contrast_figures(TRIPLETS, {"base": np.ones(4), "sempa": -np.ones(4)}, errors=True)
    assert [each["errs"] for each in found["errors"]] == ["sempa"] * 3


def test_margins_are_of_the_sentence_with_each_of_the_others() -> None:
    texts = sorted({text for one in TRIPLETS for text in (one.sentence, one.paraphrase, one.edit)})
    rows = np.random.default_rng(0).normal(size=(len(texts), 5)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    known = dict(zip(texts, rows, strict=True))

    def encode(given: list[str]) -> np.ndarray:
        assert len(set(given)) == len(given)
        return np.stack([known[text] for text in given])

    def score(pairs: list[tuple[str, str]]) -> np.ndarray:
        return np.array([known[first] @ known[second] for first, second in pairs])

    expected = [known[t.sentence] @ known[t.paraphrase] - known[t.sentence] @ known[t.edit] for t in TRIPLETS]
    assert cosine_margins(encode, TRIPLETS) == pytest.approx(expected, abs=1e-6)
    assert score_margins(score, TRIPLETS) == pytest.approx(expected, abs=1e-6)


def test_the_halves_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('sentence,paraphrase,edit,kind,split\nA,B,C,x,dev\nD,"E, e",F,y,test\n')
    assert read_contrast(path) == [Contrast("D", "E, e", "F", "y")]
    assert read_contrast(path, "dev") == [Contrast("A", "B", "C", "x")]
    assert len(read_contrast(path, "all")) == 2
    path.write_text("sentence,paraphrase,edit,kind\nA,B,C,x\n")
    assert read_contrast(path, "all") == [Contrast("A", "B", "C", "x")]
    with pytest.raises(InputError, match="lacks the columns split"):
        read_contrast(path)
    path.write_text("sentence,paraphrase,edit,kind,split\nA,B,C,x,dev\n")
    with pytest.raises(InputError, match="no triplets of the split 'test'"):
        read_contrast(path)
    with pytest.raises(InputError, match="There is no split 'half': choose dev, test, all"):
        read_contrast(path, "half")


def test_a_table_and_a_line() -> None:
    margins = {
        "base": np.array([0.1, -0.1, -0.1, -0.2]),
        "sempa": np.array([0.1, 0.3, 0.2, -0.2]),
        "both": np.ones(4),
    }
    methods = {
        name: contrast_figures(TRIPLETS, {each: margins[each] for each in dict.fromkeys(("base", name))})
        for name in margins
    }
    result = {
        "kind": "contrast",
        "what": "contrast",
        "measure": "Accuracy (%)",
        "methods": methods,
        "split": "test",
        "weight": 0.5,
        "data": {"name": "contrast.csv"},
        "recipes": {"base": {}, "sempa": {}},
        "adapter": "mine",
    }
    table = result_table(result)
    assert table.head == ["contrast.csv", "triplets", "base", "mine", "by both", "improvement (95% interval)", "p"]
    assert [row[0] for row in table.rows] == ["antonym", "negation", "roles", "all"]
    last = table.rows[-1]
    assert last[1:5] == ["4", "25.0 (4.6 to 69.9)", "75.0 (30.1 to 95.4)", "100.0 (51.0 to 100.0)"]
    assert last[5].startswith("+50.00 (")
    assert last[6] == "0.5"
    assert "both: cosine + 0.5 x preference" in table.about
    assert title(result) == "Contrast"
    assert verdict(result) == (
        "25.0% → 75.0% (not significant) of 4 triplets, 100.0% by both scores; weakest kind: roles, 50.0%"
    )
