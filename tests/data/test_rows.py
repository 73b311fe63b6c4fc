"""The shared table reader: accepted formats and damaged files, in every place that reads rows."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sempa.data.corpora import read_corpus
from sempa.data.rows import has_header, read_rows
from sempa.data.scored_pairs import read_scored_pairs
from sempa.data.triplets import read_neutrals, read_triplets
from sempa.errors import InputError
from sempa.evaluation.paraphrase import read_sentences

WORDS = ["None", "NA", "null", "nan", 'say "so"', "Größe\u2028漢字"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\ufefft,n\r\n" + "".join('"{}",1\r\n'.format(word.replace('"', '""')) for word in WORDS)),
        ("a.TSV", "t\tn\n" + "".join(f"{word}\t1\n" for word in WORDS)),
        ("a.jsonl", "\n\n".join(json.dumps({"t": word, "n": "1"}) for word in WORDS)),
        ("a.json", "".join(json.dumps({"t": word, "n": "1"}, ensure_ascii=False) + "\r\n" for word in WORDS)),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert list(read_rows(tmp_path / name)) == [{"t": word, "n": "1"} for word in WORDS]


def test_lines_of_text_are_rows_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("None\n\n  a,b  \n", encoding="utf-8")
    assert list(read_rows(tmp_path / "a.txt")) == [{"text": "None"}, {"text": "a,b"}]


def test_a_cell_that_is_not_there_is_none_and_one_that_is_empty_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,\n", encoding="utf-8")
    assert list(read_rows(tmp_path / "a.csv")) == [{"a": "1", "b": "", "c": None}]


DAMAGED: list[tuple[str, bytes, str]] = [
    (".csv", b"\x89PNG\r\n\x1a\n", "is not UTF-8 text .byte 0."),
    (".csv", b"HEAD\nVALUES\n" + b'"' + b"x" * 200_000 + b'"\n', "row 2 cannot be read as CSV .field larger"),
    (".csv", b"HEAD\nVALUES\nVALUES,more\n", "row 2 has more cells than the head"),
    (".csv", b"a," * 100 + b"b\n", "has 101 columns, but the limit is 100"),
    (".tsv", b"\xff\xfeh\x00", "is not UTF-8 text .byte 0."),
    (".tsv", b"HEAD\nVALUES\nVALUES\tmore\n", "row 2 has more cells than the head"),
    (".jsonl", b"OBJECT\n\nOBJECT\n{\n", "row 3 is not JSON"),
    (".jsonl", b"OBJECT\n" + b"[" * 100_000 + b"\n", "row 2 is not JSON .maximum recursion depth"),
    (".jsonl", b"OBJECT\n" + b"1" * 5_000 + b"\n", "row 2 is not JSON"),
    (".jsonl", b"OBJECT\n7\n", "row 2 is not an object"),
    (".jsonl", b'OBJECT\n{"more": ["cut \\ud83d"]}\n', "row 2 contains half a character .position 6."),
    (".jsonl", b'OBJECT\n{"\\uD83D": 1}\n', "row 2 contains half a character .position 0."),
]
READERS: list[tuple[Callable[[Path], object], dict[str, str]]] = [
    (read_corpus, {"text": "a"}),
    (read_triplets, {"anchor": "a", "positive": "b", "negative": "c"}),
    (read_neutrals, {"premise": "a", "neutral": "b"}),
    (read_scored_pairs, {"score": "1", "sentence1": "a", "sentence2": "b"}),
    (lambda path: read_sentences(path, None), {"sentence1": "a"}),
]


@pytest.mark.parametrize(("read", "row"), READERS, ids=["corpus", "triplets", "neutrals", "pairs", "sentences"])
@pytest.mark.parametrize(("kind", "content", "says"), DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_one_sentence_with_its_row(
    tmp_path: Path, kind: str, content: bytes, says: str, read: Callable[[Path], object], row: dict[str, str]
) -> None:
    separator = "\t" if kind == ".tsv" else ","
    filled = content.replace(b"HEAD", separator.join(row).encode()).replace(b"OBJECT", json.dumps(row).encode())
    path = tmp_path / f"damaged{kind}"
    path.write_bytes(filled.replace(b"VALUES", separator.join(row.values()).encode()))
    with pytest.raises(InputError, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": WORDS, "n": ["1"] * len(WORDS)}), tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet")) == [{"t": word, "n": "1"} for word in WORDS]
    assert read_corpus(tmp_path / "a.parquet", "t").texts == tuple(WORDS)
    (tmp_path / "b.parquet").write_text("t\nNone\n", encoding="utf-8")
    with pytest.raises(InputError, match="b.parquet cannot be read as Parquet"):
        list(read_rows(tmp_path / "b.parquet"))
    with pytest.raises(InputError, match="c.parquet does not exist"):
        list(read_rows(tmp_path / "c.parquet"))


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("text\nA cat sat.\n", True),
        ("id,body\n1,None\n2,x\n", True),
        ("entry\nThe ferry left at dawn.\n", True),
        ("customer comment,stars\nGood,5\nBad,1\n", True),
        ("Timestamp,What did you like most of all?\nMonday,The soup\n", True),
        ("A very long name of this column,n\nGood,5\n", True),
        ("", True),
        ("The ferry left at dawn.\nRates rose.\n", False),
        ("Good,5\nBad,1\n", False),
        ("m1,no one was left in the hall\nm2,rates rose\n", False),
        ("One single sentence.\n", False),
    ],
)
def test_a_header_is_told_from_a_first_row_of_texts(tmp_path: Path, text: str, header: bool) -> None:
    (tmp_path / "a.csv").write_text("\ufeff" + text)
    assert has_header(tmp_path / "a.csv") == header
    first = text.partition("\n")[0].partition(",")[0]
    assert has_header(tmp_path / "a.csv", first), "a name given by the user is known"
    if not header:
        assert read_corpus(tmp_path / "a.csv", "column 1").texts[0] == first


def test_only_tables_lack_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": "The ferry left at dawn."}\n')
    (tmp_path / "a.csv").write_text("a\nThe ferry left,at dawn,too\n")
    assert has_header(tmp_path / "a.jsonl")
    assert has_header(tmp_path / "a.csv"), "a faulty file is refused with the numbers of rows below a header"
