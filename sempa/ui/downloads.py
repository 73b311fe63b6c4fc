"""Downloads in Gradio's cache, which the page clears after an hour (`delete_cache`)."""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from sempa.config import EncoderConfig
from sempa.embedding.index import SentenceIndex
from sempa.embedding.parquet import map_table
from sempa.service.maps import Plane


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table to Gradio's cache and return its path; fractions have four decimals.

    An apostrophe is put before text that a spreadsheet would run as a formula.
    """
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(head)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return save_bytes_to_cache(stream.getvalue().encode(), f"{name}.csv", get_upload_folder())


def index_files(index: SentenceIndex, recipes: Mapping[str, EncoderConfig], planes: Mapping[str, Plane]) -> list[str]:
    """Write an index to Gradio's cache and return the paths: one Parquet file, and each model's vectors as NPY."""
    rows = {variant: index.rows(recipe) for variant, recipe in recipes.items()}
    made = [("map.parquet", map_table(index.corpus, rows, {name: plane.points for name, plane in planes.items()}))]
    for variant, vectors in rows.items():
        stream = io.BytesIO()
        np.save(stream, vectors, allow_pickle=False)
        made.append((f"vectors-{variant}.npy", stream.getvalue()))
    return [save_bytes_to_cache(data, name, get_upload_folder()) for name, data in made]


def folder_zip(folder: Path) -> str:
    """Write a folder's files to Gradio's cache as `<folder>.zip` and return the path; the ZIP unpacks to the folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for file in sorted(folder.iterdir()):
            if file.is_file():
                made.write(file, f"{folder.name}/{file.name}")
    return save_bytes_to_cache(stream.getvalue(), f"{folder.name}.zip", get_upload_folder())


def offered(value: Any) -> Any:
    """Return the update of a download or chart, visible only if it has a value."""
    return gr.update(value=value, visible=value is not None)


def _cell(cell: object) -> object:
    if isinstance(cell, float):
        return f"{cell:.4f}"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
