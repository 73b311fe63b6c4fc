"""The reader of tables: CSV, TSV, JSON Lines, Parquet and plain text, each row as a mapping from column to cell."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeVar

from sempa.errors import InputError

_Item = TypeVar("_Item")
Row = Mapping[str, object]

JSON_LINES = (".jsonl", ".ndjson", ".json")
TABLES = (".csv", ".tsv", *JSON_LINES)
LOOKED_AT = 20
"""Rows from which the text column and the lack of a header are told."""
USUAL_NAMES = ("text", "sentence", "body", "title", "name", "id", "label", "date", "timestamp")
"""Column names by which a header is known."""
MAX_COLUMNS = 100
"""Maximum columns of a table: short rows under a long header have far more cells than the file has bytes."""


def read_rows(path: Path, name: str = "", *, header: bool = True) -> Iterator[Row]:
    """Yield a file's rows: CSV (RFC 4180), TSV (unquoted), JSON Lines, Parquet, else a text per line, {"text": line}.

    "None", "NA" and "null" are sentences. A cell missing from its row is None. A line of JSON may be a single text.
    `name` replaces the path in errors. Without a `header`, the columns of CSV and TSV are "column 1", "column 2", ...
    Raises: InputError, naming the file and, if a row is faulty, its number (from 1, without header and empty lines).
    """
    name, kind, number = name or str(path), path.suffix.lower(), 0
    if kind == ".parquet":
        yield from _parquet_rows(path, name)
        return
    with _open(path, name) as stream:
        try:
            for row in _json_rows(stream) if kind in JSON_LINES else _rows(stream, kind, name, header):
                number += 1
                yield row
        except _Fault as fault:
            raise InputError(f"{name} row {number + 1} {fault}.") from None
        except csv.Error as error:
            raise InputError(f"{name} row {number + 1} cannot be read as {kind[1:].upper()} ({error}).") from None


def has_header(path: Path, column: str | None = None) -> bool:
    """Return whether a table's first row names its columns; only a CSV or TSV file may lack such a row.

    The row is a header if it holds `column` or a usual name. Otherwise, columns of numbers decide: a header has words
    above them. Without numbers, the column with the longest texts decides: a cell of four words, or with a sentence's
    end, is a text. A file that cannot be read counts as one with a header.
    """
    if path.suffix.lower() not in (".csv", ".tsv"):
        return True
    try:
        rows = [list(row.values()) for row in islice(read_rows(path, header=False), LOOKED_AT)]
    except InputError:
        return True  # reading it raises the same, with the right number of the row
    columns = [[str(cell or "").strip() for cell in cells] for cells in zip(*rows, strict=True)]
    if not columns or any(first == column or first.lower() in USUAL_NAMES for first, *_ in columns):
        return True
    if numbers := [cells[0] for cells in columns if cells[1:] and all(map(_is_number, cells[1:]))]:
        return not any(map(_is_number, numbers))
    first = max(columns, key=lambda cells: sum(map(len, cells)))[0]
    return len(first.split()) < 4 and not first.endswith((".", "!", "?"))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


class _Unquoted(csv.excel_tab):
    quoting = csv.QUOTE_NONE


class _Fault(Exception):
    """Describe what is wrong with a row; the number comes before it."""


def _rows(stream: TextIO, kind: str, name: str, header: bool) -> Iterator[Row]:
    if kind not in TABLES:
        yield from ({"text": text} for line in stream if (text := line.strip()))
        return
    dialect = _Unquoted if kind == ".tsv" else csv.excel
    first = [] if header else next(csv.reader(stream, dialect), [])
    stream.seek(0)
    table = csv.DictReader(stream, [f"column {n}" for n, _ in enumerate(first, 1)] or None, dialect=dialect)
    if len(head := table.fieldnames or ()) > MAX_COLUMNS:
        raise InputError(f"{name} has {len(head):,} columns, but the limit is {MAX_COLUMNS}: remove some.")
    for row in table:
        if None in row:
            raise _Fault("has more cells than the header: put texts with commas in quotes")
        yield row


def _parquet_rows(path: Path, name: str) -> Iterator[Row]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=8_192):
                yield from batch.to_pylist()
    except FileNotFoundError:
        raise InputError(f"The file {name} does not exist.") from None
    except (ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as Parquet ({error}).") from None


def _json_rows(stream: TextIO) -> Iterator[Row]:
    for line in stream:
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _Fault(f"is not JSON ({error})") from None
        row = {"text": found} if isinstance(found, str) else found
        if not isinstance(row, dict):
            raise _Fault("is not an object with named cells")
        if "\\u" in line:
            for cell in (*row, *row.values()):
                _require_complete(cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False))
        yield row


def _require_complete(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can say "\ud83d" alone
        raise _Fault(f"contains half a character (position {error.start})") from None


@contextmanager
def _open(path: Path, name: str) -> Iterator[TextIO]:
    """Open a UTF-8 file; its lines end at line feeds and returns, not at every line end that Unicode knows."""
    if not path.is_file():
        raise InputError(f"The file {name} does not exist.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}).") from None


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text.

    Raises: InputError if it cannot be read or is not UTF-8.
    """
    with _open(path, str(path)) as stream:
        return stream.read()


def texts_of(rows: Iterable[Row], columns: Sequence[str], name: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells of `columns` of each row; `name` names the source in errors.

    Raises: InputError if a column is missing, or a cell is missing or is not text.
    """
    for number, row in enumerate(rows, start=1):
        if missing := [column for column in columns if column not in row]:
            where = name if number == 1 else f"{name} row {number}"
            raise InputError(f"{where} lacks the columns {', '.join(missing)}.")
        for column in columns:
            if not isinstance(row[column], str):  # None in a row that ends early; as text it would be "None"
                raise InputError(f"{name} row {number} has no {column}.")
        yield tuple(str(row[column]) for column in columns)


def subsample(items: Sequence[_Item], limit: int | None) -> Sequence[_Item]:
    """Return every n-th item, so that at most `limit` are left; without a limit, all items."""
    return items[:: max(1, -(-len(items) // limit))] if limit else items
