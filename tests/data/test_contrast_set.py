"""The shipped contrast set: complete, balanced, and free of shortcuts."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from sempa import data

KINDS = {"negation", "roles", "antonym", "number", "idiom", "time", "modality", "cause", "order"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with Path(data.__file__).with_name("contrast.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _words(text):
    return set(re.findall(r"\w+", text.lower()))


def test_every_kind_has_both_halves(rows):
    counts = Counter((row["kind"], row["split"]) for row in rows)
    assert len(rows) >= 400
    assert {kind for kind, _ in counts} == KINDS
    for kind in KINDS:
        assert min(counts[kind, "dev"], counts[kind, "test"]) >= 25
        assert abs(counts[kind, "dev"] - counts[kind, "test"]) <= 1


def test_no_sentence_stands_twice(rows):
    texts = Counter(row[column].casefold() for row in rows for column in ("sentence", "paraphrase", "edit"))
    assert [text for text, count in texts.items() if count > 1] == []


def test_words_alone_mislead(rows):
    """The edit shares more words with the sentence than the paraphrase does, and has about its length."""

    def shared(row, column):
        own = _words(row["sentence"])
        return len(own & _words(row[column])) / len(own)

    assert sum(shared(row, "edit") > shared(row, "paraphrase") for row in rows) / len(rows) > 0.98
    longer = [len(row["edit"].split()) - len(row["sentence"].split()) for row in rows]
    assert abs(sum(longer) / len(longer)) < 0.5
