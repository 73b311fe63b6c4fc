"""Tables to download: CSV files in Gradio's own cache, which the page empties after an hour (`delete_cache`)."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table to Gradio's cache and return its path; fractions get four digits.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(head)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return save_bytes_to_cache(stream.getvalue().encode(), f"{name}.csv", get_upload_folder())


def offered(value: Any) -> Any:
    """Return the update of a download or a chart: shown once there is one."""
    return gr.update(value=value, visible=value is not None)


def _cell(cell: object) -> object:
    if isinstance(cell, float):
        return f"{cell:.4f}"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
