"""CSV downloads in Gradio's cache, which the page clears after an hour (`delete_cache`)."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table to Gradio's cache and return its path; fractions have four decimals.

    An apostrophe is put before text that a spreadsheet would run as a formula.
    """
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(head)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return save_bytes_to_cache(stream.getvalue().encode(), f"{name}.csv", get_upload_folder())


def offered(value: Any) -> Any:
    """Return the update of a download or chart, visible only if it has a value."""
    return gr.update(value=value, visible=value is not None)


def _cell(cell: object) -> object:
    if isinstance(cell, float):
        return f"{cell:.4f}"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
