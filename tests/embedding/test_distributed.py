"""Two Ray actors on a local cluster write what one process computes, also when one is killed or the run breaks off."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from sempa.cli import main
from sempa.data.corpora import Corpus
from sempa.embedding import distributed
from sempa.embedding.distributed import add_shards, embed_shards
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError
from sempa.models.pair import ModelPair

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'ray[data]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
TEXTS = [f"Sentence {i} {'word ' * (i % 7)}".strip() for i in range(23)]
Vectors = dict[str, np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    from ray import cloudpickle

    import tests.embedding.test_distributed as itself

    cloudpickle.register_pickle_by_value(itself)
    variables = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": variables})
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _short_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "SHARD_ROWS", 4)


def _opened(base: Path, adapter: Path, watch: Path, dies: bool = False) -> Encoder:
    """Return an encoder that notes each call in `watch`; the second call of all kills its actor if it `dies`."""
    encoder = Encoder(ModelPair.open(str(base), str(adapter), precision="float32", device="cpu"))
    encode = encoder.encode

    def noted(texts: list[str], variant: str, **options: Any) -> np.ndarray:
        (watch / f"{variant}-{options['first']}-{os.getpid()}-{os.urandom(4).hex()}").touch()
        if dies and len(list(watch.iterdir())) > 2 and not (watch.parent / "killed").exists():
            (watch.parent / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(texts, variant, **options)

    encoder.encode = noted  # type: ignore[method-assign]
    return encoder


@pytest.fixture
def known(tuned_pair: ModelPair) -> Vectors:
    encoder = Encoder(tuned_pair)
    return {variant: encoder.encode(TEXTS, variant) for variant in encoder.variants}


def _agree(folder: Path, known: Vectors, texts: list[str] = TEXTS) -> None:
    for variant, rows in known.items():
        table = pq.read_table(folder / variant)
        assert table["id"].to_pylist() == list(range(len(texts)))
        assert table["text"].to_pylist() == texts
        np.testing.assert_allclose(np.array(table["vector"].to_pylist()), rows, atol=1e-5)


def test_an_actor_that_is_killed_loses_nothing(
    model_folder: Path, adapter_folder: Path, known: Vectors, tmp_path: Path
) -> None:
    (watch := tmp_path / "watch").mkdir()
    told: list[tuple[int, int]] = []
    opened = partial(_opened, model_folder, adapter_folder, watch, dies=True)
    folder = tmp_path / "vectors"
    made = embed_shards(iter(TEXTS), folder, opened, tuple(known), actors=2, progress=lambda *at: told.append(at))
    assert made == len(TEXTS)
    assert (tmp_path / "killed").exists()
    _agree(folder, known)
    assert told[-1] == (len(TEXTS), len(TEXTS))
    assert len({path.name.split("-")[2] for path in watch.iterdir()}) == 3, "two actors and the one in its place"
    assert sorted(path.name for path in folder.iterdir()) == ["base", "sempa"]


def test_a_run_that_broke_off_goes_on(model_folder: Path, adapter_folder: Path, known: Vectors, tmp_path: Path) -> None:
    (watch := tmp_path / "watch").mkdir()
    opened, folder = partial(_opened, model_folder, adapter_folder, watch), tmp_path / "vectors"
    with pytest.raises(InputError, match="Row 17 is empty"):
        embed_shards([*TEXTS[:17], " ", *TEXTS[18:]], folder, opened, tuple(known), actors=1)
    written = {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.glob("*/*.parquet")}
    assert 0 < len(written) < 12
    for path in watch.iterdir():
        path.unlink()
    embed_shards(TEXTS, folder, opened, tuple(known), actors=2)
    _agree(folder, known)
    kept = [path for path in written if (folder / path).stat().st_mtime_ns == written[path]]
    assert len(list(watch.iterdir())) == 12 - len(kept)
    assert len(kept) == len(written)
    embed_shards(TEXTS[:9], folder, opened, tuple(known), actors=2)  # fewer texts, of which two shards are known
    assert len(list(watch.iterdir())) == 12 - len(kept) + 2
    _agree(folder, {variant: rows[:9] for variant, rows in known.items()}, TEXTS[:9])


def test_an_index_of_shards_finds_what_one_process_s_finds(
    model_folder: Path, adapter_folder: Path, tuned_pair: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    monkeypatch.setattr("sempa.embedding.index.INDEX_ROOT", tmp_path)
    monkeypatch.setattr("sempa.embedding.index.index_folder", lambda name: tmp_path / name)
    pq.write_table(pa.table({"text": TEXTS, "place": ["here"] * len(TEXTS)}), tmp_path / "notes.parquet")
    model = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"]
    options = ["--texts", str(tmp_path / "notes.parquet"), "--actors", "2", "--parquet", str(tmp_path / "vectors")]
    assert main(["index", "notes", *options, *model]) == 0
    index, encoder = SentenceIndex.load(tmp_path / "notes"), Encoder(tuned_pair)
    assert index.corpus.tags[0] == {"place": "here"}
    for variant in encoder.variants:
        rows = encoder.encode(TEXTS, variant)
        np.testing.assert_allclose(index.rows(encoder.recipe(variant)), rows, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "notes.parquet", "vectors"]
    again = SentenceIndex(Corpus(tuple(TEXTS), tuple({} for _ in TEXTS)))
    add_shards(again, tmp_path / "vectors" / "sempa", tmp_path / "rows")
    assert again.recipes == [encoder.recipe("sempa")]


def test_what_cannot_be_shared_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="actors is 0"):
        embed_shards(TEXTS, tmp_path / "vectors", Encoder.default, ["base"], actors=0)
    with pytest.raises(InputError, match="no text"):
        embed_shards([], tmp_path / "vectors", Encoder.default, ["base"], actors=1)
