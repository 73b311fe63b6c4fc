"""A map's Parquet file holds texts, tags, coordinates and vectors as they were given."""

import io

import numpy as np
import pyarrow.parquet as pq

from sempa.data.corpora import Corpus
from sempa.embedding.parquet import map_table


def test_a_map_comes_back_from_its_parquet_file() -> None:
    generator = np.random.default_rng(0)
    rows = {name: generator.normal(size=(3, 4)).astype(np.float32) for name in ("base", "sempa")}
    points = {name: generator.normal(size=(3, 2)).astype(np.float32) for name in rows}
    corpus = Corpus(("a", "None", "ü"), ({"topic": "x"}, {"topic": ""}, {"topic": "y"}))
    table = pq.read_table(io.BytesIO(map_table(corpus, rows, points)))
    assert table.column_names == [
        "id", "text", "topic", "base_x", "base_y", "base_vector", "sempa_x", "sempa_y", "sempa_vector",
    ]  # fmt: skip
    assert table["text"].to_pylist() == ["a", "None", "ü"]
    for name, vectors in rows.items():
        assert (np.array(table[f"{name}_vector"].to_pylist(), np.float32) == vectors).all()
        assert (np.array(table[f"{name}_y"].to_pylist(), np.float32) == points[name][:, 1]).all()
