"""Corpora: sentences with optional tags, read from any table and written as CSV."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sempa.data.rows import Row, has_header, read_rows
from sempa.errors import InputError

TEXT_COLUMNS = ("text", "sentence")
MAX_CHARACTERS = 20_000
"""Maximum characters of a text; a longer one is usually a mistake in the file."""


@dataclass(frozen=True)
class Corpus:
    """Hold N texts and, for each, its tags by name (empty if the file has none)."""

    texts: tuple[str, ...]
    tags: tuple[Mapping[str, str], ...]


def read_corpus(path: Path, column: str | None = None, at_most: int | None = None) -> Corpus:
    """Read a corpus from a table or a text file (see `read_rows`); other columns become tags.

    `column` names the text column; without it `text` or `sentence` is taken, or the only column.
    The first row of a CSV or TSV file without a header is a text like the others (see `has_header`).
    A tag named `text` becomes `text_`, since the corpus' own column has that name. Reading stops after `at_most` rows.
    Raises: InputError if the file has no such column or a row has no text; what `read_rows` raises.
    """
    rows = list(islice(read_rows(path, header=has_header(path, column)), at_most))
    if not rows:
        raise InputError(f"{path} contains no text.")
    name = _text_column(rows[0], column, path)
    return Corpus(
        tuple(_text(row.get(name), f"{path} row {number}") for number, row in enumerate(rows, start=1)),
        tuple(
            {"text_" if key == "text" else key: str(value) for key, value in row.items() if key != name and value}
            for row in rows
        ),
    )


def _text_column(row: Row, column: str | None, path: Path) -> str:
    known = [column] if column else [*TEXT_COLUMNS, *(row if len(row) == 1 else ())]
    for name in known:
        if name in row:
            return name
    raise InputError(f"{path} has the columns {', '.join(row)[:200]}: name the one with the text (--column).")


def _text(cell: object, where: str) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise InputError(f"{where} has no text.")
    if len(cell) > MAX_CHARACTERS:
        raise InputError(f"{where} has {len(cell):,} characters, but the limit is {MAX_CHARACTERS:,}.")
    return cell.strip()


def write_corpus(corpus: Corpus, path: Path) -> None:
    """Write texts and tags as CSV, the text column first."""
    names = list(dict.fromkeys(name for tags in corpus.tags for name in tags))
    rows = [{"text": text, **tags} for text, tags in zip(corpus.texts, corpus.tags, strict=True)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        # The csv module quotes a lone carriage return only if everything is quoted.
        returns = any("\r" in cell for row in rows for cell in row.values())
        dialect = "unix" if returns else "excel"  # unix quotes everything
        writer = csv.DictWriter(stream, ["text", *names], dialect=dialect, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
