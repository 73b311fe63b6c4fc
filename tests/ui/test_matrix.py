"""The matrix in the page."""

import csv
import json
from typing import Any

import numpy as np
import pytest

from sempa.errors import InputError
from sempa.service.matrix import PairMatrix, pair_matrix
from sempa.service.studio import Studio
from sempa.ui.matrix import compared, maps

EVIL = "<script>alert('1')</script>\"&"


def _matrix(count: int) -> PairMatrix:
    generator = np.random.default_rng(0)
    rows = {}
    for variant in ("base", "sempa"):
        values = generator.normal(size=(count, 6))
        rows[variant] = values / np.linalg.norm(values, axis=1, keepdims=True)
    background = {variant: np.linspace(-1, 1, 200) for variant in rows}
    return pair_matrix([f"{EVIL}{i}" for i in range(count)], rows, background)


def _maps(matrix: PairMatrix) -> list[dict[str, Any]]:
    return [json.loads(update["value"].plot)["data"][0] for update in maps(matrix) if update["visible"]]


def test_few_sentences_show_every_figure() -> None:
    matrix = _matrix(3)
    drawn = _maps(matrix)
    expected = [matrix.percentiles["base"], matrix.percentiles["sempa"], matrix.difference]
    for one, values in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(one["z"], 100 * np.asarray(values), atol=0.06)
        assert one["texttemplate"]
    most = max(10, 100 * float(np.abs(matrix.difference).max()))
    limits = [(one["zmin"], one["zmax"]) for one in drawn]
    np.testing.assert_allclose(limits, [(0, 100), (0, 100), (-most, most)], rtol=1e-5)
    assert "<script" not in json.dumps(drawn)


def test_many_sentences_are_maps_of_as_many_cells() -> None:
    matrix = _matrix(40)
    drawn = _maps(matrix)
    assert [np.shape(one["z"]) for one in drawn] == [(40, 40)] * 3
    assert not any(one["texttemplate"] for one in drawn)


def test_pairs_and_sentences_are_listed_as_text(studio: Studio) -> None:
    *_, (html, *_) = compared(studio, f"One.\nTwo.\n{EVIL}")
    assert html.count("<tr>") == 1 + 3
    assert "The 3 sentences" in html
    assert "<script" not in html


def test_the_studio_s_matrix_is_its_similarity_of_every_pair(studio: Studio) -> None:
    sentences = ["The hare is fast.", "The hound is ill.", "A cat sat.", *(f"No. {i}" for i in range(25))]
    said: list[str] = []
    matrix = studio.matrix(sentences, said.append)
    for i, j in ((0, 1), (2, 27), (5, 4)):
        cosines = studio.similarity(sentences[i], sentences[j])
        assert {v: float(values[i, j]) for v, values in matrix.cosines.items()} == pytest.approx(cosines, abs=1e-6)
        shares = {variant: float(values[i, j]) for variant, values in matrix.percentiles.items()}
        assert shares == pytest.approx(studio.percentiles(cosines), abs=0.03)
    assert [line.split(",")[0] for line in said] == [f"Computing vectors: {i} of 28" for i in (16, 28)]


def test_lines_become_a_view_and_a_table_of_every_pair(studio: Studio) -> None:
    *before, (_, download, *drawn) = compared(studio, "The hare is fast.\n\n  A cat sat. \nThe hare is fast.\n=2+2\n")
    assert before
    assert [update["visible"] for update in drawn] == [True] * 3
    with open(download["value"], newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3  # the sentence given twice counts once
    assert {"cosine_base", "percentile_base", f"cosine_{studio.adapter}"} <= set(rows[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least two"),
        ("one", "at least two"),
        ("\n".join(map(str, range(201))), "takes 200"),
        ("a\n" + "x" * 6000, "6,000 characters"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(studio: Studio, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(compared(studio, text))
