"""The matrix as a visitor sees it."""

import base64
import csv
import io
import re
from html import unescape

import numpy as np
import pytest
from PIL import Image

from sempa.errors import InputError
from sempa.service.matrix import PairMatrix, pair_matrix
from sempa.service.studio import Studio
from sempa.ui.heat import matrix_view
from sempa.ui.matrix import compared

EVIL = "<script>alert('1')</script>\"&"


def _matrix(count: int) -> PairMatrix:
    generator = np.random.default_rng(0)
    rows = {}
    for variant in ("base", "sempa"):
        values = generator.normal(size=(count, 6))
        rows[variant] = values / np.linalg.norm(values, axis=1, keepdims=True)
    background = {variant: np.linspace(-1, 1, 200) for variant in rows}
    return pair_matrix([f"{EVIL}{i}" for i in range(count)], rows, background)


def test_few_sentences_show_every_figure() -> None:
    matrix = _matrix(3)
    html = matrix_view(matrix, "mine")
    tables = re.findall(r'<table class="sp-heat">(.*?)</table>', html)
    assert len(tables) == 3
    figures = [[int(x) for x in re.findall(r">(-?\d+)</td>", table)] for table in tables]
    expected = [matrix.shares["base"], matrix.shares["sempa"], matrix.difference]
    for shown, values in zip(figures, expected, strict=True):
        assert np.abs(np.array(shown) - 100 * np.asarray(values).ravel()).max() <= 0.5 + 1e-6
    assert "<script" not in html
    offered = re.findall(r'data-text="([^"]*)">key tokens', html)
    assert [unescape(text) for text in offered] == list(matrix.sentences)


def test_many_sentences_are_a_picture_of_as_many_cells() -> None:
    html = matrix_view(_matrix(40), "mine")
    pictures = re.findall(r'base64,([^"]+)"', html)
    assert len(pictures) == 3
    for encoded in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(encoded)))
        assert image.size == (40, 40)
        assert len({image.getpixel((i, i)) for i in range(40)}) == 1  # the diagonal is one colour
    assert html.count("<tr>") == 1 + 20
    assert "<details><summary>The 40 sentences" in html


def test_the_studio_s_matrix_is_its_similarity_of_every_pair(studio: Studio) -> None:
    sentences = ["The hare is fast.", "The hound is ill.", "A cat sat.", *(f"No. {i}" for i in range(25))]
    said: list[str] = []
    matrix = studio.matrix(sentences, said.append)
    for i, j in ((0, 1), (2, 27), (5, 4)):
        cosines = studio.similarity(sentences[i], sentences[j])
        assert {v: float(values[i, j]) for v, values in matrix.cosines.items()} == pytest.approx(cosines, abs=1e-6)
        shares = {variant: float(values[i, j]) for variant, values in matrix.shares.items()}
        assert shares == pytest.approx(studio.percentiles(cosines), abs=0.03)
    assert said == [f"Reading: {i} of 28 sentences" for i in (0, 20)]


def test_lines_become_a_view_and_a_table_of_every_pair(studio: Studio) -> None:
    *before, (view, table) = compared(studio, "The hare is fast.\n\n  A cat sat. \nThe hare is fast.\n=2+2\n")
    assert before
    assert view.count('class="sp-heat"') == 3
    assert table is not None
    with open(table, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3  # the sentence given twice counts once
    assert {"cosine_base", "share_base", f"cosine_{studio.adapter}"} <= set(rows[0])


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
