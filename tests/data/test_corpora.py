"""Corpora from TXT, CSV and JSONL: nothing is lost silently, and errors name the row."""

from pathlib import Path

import pytest

from sempa.data.corpora import Corpus, read_corpus, write_corpus
from sempa.errors import InputError


def _file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TEXTS = ("None", "A cat, a dog.", "Größe 漢字")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "None\r\n\n  A cat, a dog.  \nGröße 漢字"),
        ("a.md", "None\nA cat, a dog.\nGröße 漢字\n"),
        ("a.txt", "\ufeffNone\nA cat, a dog.\nGröße 漢字\n"),
        ("a.csv", 'text\nNone\n"A cat, a dog."\nGröße 漢字\n'),
        ("a.CSV", 'sentence\r\nNone\r\n"A cat, a dog."\r\nGröße 漢字\r\n'),
        ("a.csv", '\ufeffwhatever\nNone\n"A cat, a dog."\nGröße 漢字\n'),
        ("a.jsonl", '{"text": "None"}\n\n{"text": "A cat, a dog."}\n{"text": "Größe 漢字"}\n'),
        ("a.ndjson", '{"only": "None"}\n{"only": "A cat, a dog."}\n{"only": "Gr\\u00f6\\u00dfe 漢字"}\n'),
        ("a.jsonl", '"None"\n"A cat, a dog."\n"Größe 漢字"\n'),
    ],
)
def test_the_same_texts_from_every_format(tmp_path: Path, name: str, content: str) -> None:
    assert read_corpus(_file(tmp_path, name, content)) == Corpus(TEXTS, ({}, {}, {}))


def test_text_comes_before_sentence_and_other_columns_are_tags(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "id,sentence,text,topic\n1,no,yes,sea\n2,no,also,\n")
    corpus = read_corpus(path)
    assert corpus.texts == ("yes", "also")
    assert corpus.tags == ({"id": "1", "sentence": "no", "topic": "sea"}, {"id": "2", "sentence": "no"})


def test_a_column_can_be_named(tmp_path: Path) -> None:
    rows = '{"title": "T", "text": "no", "n": 3, "kinds": ["a"], "none": null}\n'
    corpus = read_corpus(_file(tmp_path, "a.jsonl", rows), "title")
    assert corpus == Corpus(("T",), ({"text_": "no", "n": "3", "kinds": "['a']"},))


def test_a_tag_called_text_does_not_take_the_text_s_place_when_written(tmp_path: Path) -> None:
    corpus = read_corpus(_file(tmp_path, "a.csv", "text,title\nno,T\n"), "title")
    write_corpus(corpus, tmp_path / "b.csv")
    assert read_corpus(tmp_path / "b.csv").texts == ("T",)


@pytest.mark.parametrize(
    ("texts", "tags"),
    [
        (("two\nlines", 'a "quoted", one', "'"), ({"t": "x\ny"}, {"ü,ö": '"'}, {})),
        (("a\rb", "c\r\nd"), ({}, {"t": "\r"})),
        (("NA", "null", "#N/A"), ({"t": "None"}, {}, {"u": "nan"})),
    ],
)
def test_written_and_read_again_is_the_same(tmp_path: Path, texts: tuple[str, ...], tags: tuple) -> None:
    write_corpus(Corpus(texts, tags), tmp_path / "a.csv")
    assert read_corpus(tmp_path / "a.csv") == Corpus(texts, tags)


@pytest.mark.parametrize(
    ("name", "content", "column", "says"),
    [
        ("a.csv", "a,b\n1,2\n", None, "the columns a, b: name the one"),
        ("a.csv", "text,b\n1,2\n", "c", "the columns text, b: name the one"),
        ("a.jsonl", "{}\n", None, "name the one"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", None, "not UTF-8 text .byte 0."),
        ("a.txt", "Grüße".encode("latin-1"), None, "not UTF-8 text .byte 2."),
        ("a.txt", "", None, "contains no text"),
        ("a.txt", " \n\t\n", None, "contains no text"),
        ("a.csv", "text\n", None, "contains no text"),
        ("a.csv", "text,t\nx,1\n ,2\n", None, "row 2 has no text"),
        ("a.jsonl", '{"text": "x"}\n{"text": 3}\n', None, "row 2 has no text"),
        ("a.jsonl", '{"text": "x"}\n{"other": "y"}\n', None, "row 2 has no text"),
        ("a.jsonl", '{"text": "x"\n', None, "row 1 is not JSON"),
        ("a.jsonl", '"x"\n"cut \\ud83d"\n', None, "row 2 contains half a character .position 4."),
        ("a.jsonl", '{"text": "x", "t": "\\ud83d"}\n', None, "row 1 contains half a character .position 0."),
        ("a.txt", "short\n" + "x" * 20_001 + "\n", None, "row 2 has 20,001 characters, but the limit is 20,000"),
        ("a.csv", 'text\n"' + "x" * 200_000 + '"\n', None, "row 1 cannot be read as CSV"),
        ("a.csv", "text\nfine\nCats, dogs and mice\n", None, "row 2 has more cells than the head"),
        ("a.csv", f"text{',a' * 100}\nx\n", None, "has 101 columns, but the limit is 100"),
    ],
)
def test_unusable_files_are_named_with_their_row(
    tmp_path: Path, name: str, content: str | bytes, column: str | None, says: str
) -> None:
    path = _file(tmp_path, name, content)
    with pytest.raises(InputError, match=says) as caught:
        read_corpus(path, column)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", "x\ny\n"), ("a.csv", "text\nx\ny,z\n"), ("a.jsonl", '{"text": "x"}\n{\n')],
)
def test_no_more_rows_are_read_than_asked_for(tmp_path: Path, name: str, content: str) -> None:
    """The tables' second row would raise if read."""
    assert read_corpus(_file(tmp_path, name, content), at_most=1).texts == ("x",)


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            read_corpus(path)
