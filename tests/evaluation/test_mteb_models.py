"""MTEB's own tasks on local files: base and SemPA by name, scored as we score them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.evaluation.sts import sts_spearman
from sempa.models.pair import ModelPair

mteb = pytest.importorskip("mteb", reason="mteb is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def _pairs(path: Path) -> Path:
    """Write 40 scored pairs in the form that both we and the datasets library read."""
    chance = np.random.default_rng(0)
    rows = ["score\tsentence1\tsentence2"]
    for i in range(40):
        first, second = chance.choice(["A cat", "Two dogs ran", "Rain fell"]), chance.choice(["A cat sat", "Dogs"])
        rows.append(f"{chance.uniform(0, 5):.3f}\t{first} {i}\t{second} {i}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_mteb_scores_both_models_by_name_as_we_do(tuned_pair: ModelPair, tmp_path: Path) -> None:
    from datasets import load_dataset

    from sempa.evaluation.mteb_models import register

    encoder, file = Encoder(tuned_pair), _pairs(tmp_path / "pairs.tsv")
    metas = register(encoder)
    assert [meta.name for meta in metas] == ["sempa/base", f"sempa/{tuned_pair.adapter.name}"]
    assert metas[1].adapted_from == tuned_pair.info.name
    found = {}
    for meta, variant in zip(metas, encoder.variants, strict=True):
        task: Any = mteb.get_task("STSBenchmark")
        local = load_dataset("csv", data_files={"test": str(file)}, sep="\t", cache_dir=str(tmp_path / "datasets"))
        task.dataset, task.data_loaded = local, True
        cache = mteb.ResultCache(tmp_path / "mteb")
        mteb.evaluate(mteb.get_model(meta.name), task, cache=cache, show_progress_bar=False)
        (written,) = (tmp_path / "mteb").rglob(f"{str(meta.name).replace('/', '__')}/*/STSBenchmark.json")
        assert written.parent.name == meta.revision
        found[variant] = json.loads(written.read_text("utf-8"))["scores"]["test"][0]["cosine_spearman"]
        ours = sts_spearman(lambda texts, variant=variant: encoder.encode(texts, variant), read_scored_pairs(file))
        assert 100 * found[variant] == pytest.approx(ours, abs=1e-3)
    assert found["base"] != found["sempa"]
