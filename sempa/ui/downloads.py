"""Tables a visitor takes along: CSV files in a folder of this process, forgotten after an hour."""

import csv
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

KEPT_SECONDS = 3600

_folder = tempfile.TemporaryDirectory(prefix="sempa-", ignore_cleanup_errors=True)


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table and return its path; files older than an hour are removed first.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    root = Path(_folder.name)
    for old in root.iterdir():
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
    path = Path(tempfile.mkdtemp(dir=root)) / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows([_safe(cell) for cell in row] for row in rows)
    return str(path)


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
