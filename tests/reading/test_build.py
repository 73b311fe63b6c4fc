"""One corpus read by two processes gives one process's index, and Parquet files that other engines load."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from sempa.errors import StorageError
from sempa.models.pair import ModelPair
from sempa.models.processes import Processes
from sempa.reading.build import read_into
from sempa.reading.encoder import Encoder
from sempa.reading.index import SentenceIndex
from sempa.reading.texts import Corpus

ROOT = Path(__file__).parents[2]
TEXTS = (*(f"Sentence {i} {'word ' * (i % 7)}".strip() for i in range(20)), "None", "Größe, 漢字", "a\x1fb")
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
OPTIONS = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


def _index(texts: tuple[str, ...] = TEXTS) -> SentenceIndex:
    return SentenceIndex(Corpus(texts, tuple({} for _ in texts)))


def _table(folder: Path, variant: str) -> tuple[list[int], list[str], np.ndarray]:
    table = pq.read_table(folder / variant)
    return table["id"].to_pylist(), table["text"].to_pylist(), np.array(table["vector"].to_pylist(), np.float32)


@pytest.mark.timeout(300)
def test_two_processes_make_the_index_of_one(
    tuned_pair: ModelPair, model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in TEXTS), encoding="utf-8")
    script = tmp_path / "index.py"
    script.write_text(
        "import sys, functools, pathlib\nimport sempa.cli, sempa.reading.index as index\n"
        f"index.index_folder = functools.partial(index.index_folder, root=pathlib.Path({str(tmp_path)!r}))\n"
        "sys.exit(sempa.cli.main())\n",
        encoding="utf-8",
    )
    model = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"]
    asked = ["index", "mine", "--texts", str(tmp_path / "texts.jsonl"), "--parquet", str(tmp_path / "vectors"), *model]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*LAUNCH, *OPTIONS, str(script), *asked], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count(f"{len(TEXTS)} texts, read with base and sempa.") == 1
    made, alone, encoder = SentenceIndex.load(tmp_path / "mine"), _index(), Encoder(tuned_pair)
    read_into(alone, encoder, Processes())
    assert made.corpus == alone.corpus
    assert made.recipes == alone.recipes
    for variant in encoder.variants:
        rows = encoder.encode(TEXTS, variant)
        recipe = encoder.recipe(variant)
        files = sorted(path.name for path in (tmp_path / "vectors" / variant).iterdir())
        assert files == ["00000-of-00002.parquet", "00001-of-00002.parquet"]
        ids, texts, vectors = _table(tmp_path / "vectors", variant)
        assert ids == list(range(len(TEXTS)))
        assert tuple(texts) == TEXTS
        np.testing.assert_allclose(vectors, rows, atol=1e-5)
        said = pq.read_schema(tmp_path / "vectors" / variant / files[0]).metadata[b"sempa"]
        assert json.loads(said) == asdict(recipe)
        for one, other in zip(made.search(recipe, rows, 5), alone.search(recipe, rows, 5), strict=True):
            assert [hit.id for hit in one] == [hit.id for hit in other]
            np.testing.assert_allclose([hit.cosine for hit in one], [hit.cosine for hit in other], atol=1e-5)


def test_a_process_without_a_part_writes_nothing(tuned_pair: ModelPair, tmp_path: Path) -> None:
    class Alone(Processes):
        """The first of two that does not wait for the other."""

        def collect(self, rows: object, items: int) -> None:
            assert (len(rows), items) == (0, 1)  # type: ignore[arg-type]

    index = _index(TEXTS[:1])
    read_into(index, Encoder(tuned_pair), Alone(0, 2), tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()
    assert not index.recipes


def test_readme_s_database_finds_what_the_index_finds(
    tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lancedb", reason="lancedb is not installed")
    index, encoder = _index(), Encoder(tuned_pair)
    monkeypatch.chdir(tmp_path)
    read_into(index, encoder, Processes(), Path("vectors"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "lancedb" in block)
    monkeypatch.setattr(Encoder, "default", lambda: encoder)
    names: dict[str, Any] = {}
    exec(example, names)
    found = index.search(encoder.recipe("sempa"), encoder.encode(["what did we decide about the roof"]), 5)[0]
    assert [hit["text"] for hit in names["hits"]] == [hit.text for hit in found]
    np.testing.assert_allclose(
        [1 - hit["_distance"] for hit in names["hits"]], [hit.cosine for hit in found], atol=1e-5
    )


def test_a_disk_that_refuses_is_said(tuned_pair: ModelPair, tmp_path: Path) -> None:
    (tmp_path / "vectors").write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        read_into(_index(), Encoder(tuned_pair), Processes(), tmp_path / "vectors")
