"""The merged model against the unmerged one, loaded with transformers alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sempa.errors import InputError, StorageError
from sempa.models.combine import save_merged
from sempa.models.pair import ModelPair

IDS = torch.arange(40, 60).unsqueeze(0)
MASK = torch.ones_like(IDS)


def test_transformers_alone_reads_what_the_aligned_model_reads(tuned_pair: ModelPair, tmp_path: Path) -> None:
    before = [tuned_pair.hidden_states(variant, IDS, MASK) for variant in ("base", "sempa")]
    save_merged(tuned_pair, tmp_path / "merged")
    assert len({path.stat().st_mode for path in (tmp_path / "merged").iterdir()}) == 1, "all may be read alike"
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32).eval()
    with torch.no_grad():
        states = merged(IDS, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(states, before[1], rtol=1e-4, atol=1e-4)
    assert (states - before[0]).abs().max() > 1e-2
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template == tuned_pair.tokenizer.chat_template
    assert {path.suffix for path in (tmp_path / "merged").iterdir()} <= {".json", ".safetensors", ".jinja"}
    after = [tuned_pair.hidden_states(variant, IDS, MASK) for variant in ("base", "sempa")]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_what_cannot_be_merged_is_one_sentence(tiny_pair: ModelPair, tuned_pair: ModelPair, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="load an adapter"):
        save_merged(tiny_pair, tmp_path / "merged")
    with pytest.raises(InputError, match="exists already"):
        save_merged(tuned_pair, tmp_path)


def test_a_full_disk_is_a_storage_error(
    tuned_pair: ModelPair, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with full_disk(20_000), pytest.raises(StorageError, match="merged model could not be written.*make room"):
        save_merged(tuned_pair, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    save_merged(tuned_pair, tmp_path / "merged")
