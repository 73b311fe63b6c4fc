"""Read a corpus: sentences with optional tags, from TXT, CSV or JSONL."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sempa.errors import InputError

TEXT_COLUMNS = ("text", "sentence")
MAX_CHARACTERS = 20_000
"""Longest text of one row; a longer one is a mistake in the file more often than a sentence."""
MAX_COLUMNS = 100
"""Most columns of a CSV: short rows under a long head hold far more cells than the file has bytes."""


@dataclass(frozen=True)
class Corpus:
    """Hold N texts and, for each, its tags by name (empty where the file has none)."""

    texts: tuple[str, ...]
    tags: tuple[Mapping[str, str], ...]


def read_corpus(path: Path, column: str | None = None, at_most: int | None = None) -> Corpus:
    """Read a TXT file (one text a line), a CSV (RFC 4180) or JSONL file; other columns become tags.

    `column` names the text column; without it `text` or `sentence` is taken, or the only column.
    A tag that is itself named `text` becomes `text_`, since `text` is what the corpus' own column is called. After
    `at_most` rows nothing more is read.
    Raises: InputError if the file is missing, not text, has no such column, or holds an unusable row (named).
    """
    if not path.is_file():
        raise InputError(f"The file {path} does not exist.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(islice(_rows(stream, path), at_most))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): give a TXT, CSV or JSONL file.") from error
    except InputError:
        raise
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path} cannot be read as {path.suffix or 'text'} ({error}).") from error
    if not rows:
        raise InputError(f"{path} holds no text.")
    name = _text_column(rows[0], column, path)
    return Corpus(
        tuple(_checked(row.get(name), number, path) for number, row in enumerate(rows, start=1)),
        tuple(
            {
                "text_" if key == "text" else key: _whole(str(value), number, path)
                for key, value in row.items()
                if key != name and value
            }
            for number, row in enumerate(rows, start=1)
        ),
    )


def _rows(lines: Iterable[str], path: Path) -> Iterator[Mapping[str, object]]:
    kind = path.suffix.lower()
    if kind == ".csv":
        table = csv.DictReader(lines)
        if len(head := table.fieldnames or ()) > MAX_COLUMNS:
            raise InputError(f"{path} has {len(head):,} columns, the limit is {MAX_COLUMNS}: leave some out.")
        for number, row in enumerate(table, start=1):
            if None in row:
                raise InputError(f"{path} row {number} has more cells than the head: put texts with commas in quotes.")
            yield row
    elif kind in (".jsonl", ".ndjson"):
        for line in lines:
            if line.strip():
                row = json.loads(line)
                yield row if isinstance(row, dict) else {"text": row}
    else:
        yield from ({"text": line.strip()} for line in lines if line.strip())


def _text_column(row: Mapping[str, object], column: str | None, path: Path) -> str:
    found = [str(name) for name in row]
    wanted = (
        [column] if column else [name for name in TEXT_COLUMNS if name in row] or (found if len(found) == 1 else [])
    )
    if not wanted or wanted[0] not in row:
        raise InputError(
            f"{path} has the columns {', '.join(found)[:200]}: name the one that holds the text (--column)."
        )
    return wanted[0]


def _checked(text: object, number: int, path: Path) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{path} row {number} has no text.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{path} row {number} has {len(text):,} characters, the limit is {MAX_CHARACTERS:,}.")
    return _whole(text.strip(), number, path)


def _whole(text: str, number: int, path: Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can say "\ud83d" alone
        raise InputError(f"{path} row {number} holds half a character (position {error.start}).") from error
    return text


def write_corpus(corpus: Corpus, path: Path) -> None:
    """Write texts and tags as CSV, the text column first."""
    names = list(dict.fromkeys(name for tags in corpus.tags for name in tags))
    rows = [{"text": text, **tags} for text, tags in zip(corpus.texts, corpus.tags, strict=True)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        # The csv module quotes a lone carriage return only where everything is quoted.
        returns = any("\r" in cell for row in rows for cell in row.values())
        dialect = "unix" if returns else "excel"  # unix quotes everything
        writer = csv.DictWriter(stream, ["text", *names], dialect=dialect, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
