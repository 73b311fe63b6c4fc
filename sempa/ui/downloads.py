"""Tables a visitor takes along: CSV files in a folder of this process, forgotten after an hour."""

import csv
import functools
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

KEPT_SECONDS, SWEPT_SECONDS = 3600, 300

_folder = tempfile.TemporaryDirectory(prefix="sempa-", ignore_cleanup_errors=True)


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table and return its path; it is removed after an hour.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    _keep_sweeping()
    path = Path(tempfile.mkdtemp(dir=_folder.name)) / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows([_safe(cell) for cell in row] for row in rows)
    return str(path)


def sweep() -> None:
    """Remove the tables that are older than an hour."""
    with suppress(OSError):  # the folder goes when the process ends
        for old in Path(_folder.name).iterdir():
            if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


@functools.cache
def _keep_sweeping() -> None:
    """Sweep from time to time, once for the process: also while nobody makes a table any more."""

    def forever() -> None:
        while True:
            time.sleep(SWEPT_SECONDS)
            sweep()

    threading.Thread(target=forever, name="sweeper", daemon=True).start()


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
