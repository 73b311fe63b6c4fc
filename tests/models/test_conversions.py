"""Converted GGUF files: made once, identified by content, limited, repaired, listed and cleared."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sempa.config import DEFAULT_BASE
from sempa.errors import ModelUnavailable
from sempa.models import conversions
from sempa.models.conversions import clear, converted
from sempa.models.load import ModelSource, read_weights
from sempa.models.pair import ModelPair
from sempa.models.precision import Precision

FLOAT32 = Precision("cpu", torch.float32, "test")
MakeGguf = Callable[..., Path]


@pytest.fixture
def make_gguf(tmp_path: Path, own_cache: Path) -> MakeGguf:
    """Return a writer of tiny Llamas as GGUF files with a byte-level tokenizer, and an empty cache."""
    gguf = pytest.importorskip("gguf")

    def make(name: str = "tiny.gguf", seed: int = 0) -> Path:
        generator = np.random.default_rng(seed)
        path = tmp_path / name
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_context_length(64)
        writer.add_embedding_length(32)
        writer.add_block_count(1)
        writer.add_feed_forward_length(32)
        writer.add_head_count(4)
        writer.add_head_count_kv(2)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(8)
        writer.add_vocab_size(259)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        letters = [chr(0x100 + i) for i in range(256)]
        writer.add_token_list([*letters, "".join(letters[:2]), "<s>", "</s>"])
        writer.add_token_types([1] * 257 + [3, 3])
        writer.add_token_merges([f"{letters[0]} {letters[1]}"])
        writer.add_bos_token_id(257)
        writer.add_eos_token_id(258)
        shapes = {"token_embd": (259, 32), "output": (259, 32), "output_norm": (32,)}
        shapes |= {"blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
        shapes |= {f"blk.0.attn_{part}": (16, 32) for part in "kv"} | {"blk.0.attn_q": (32, 32)}
        shapes |= {f"blk.0.{part}": (32, 32) for part in ("attn_output", "ffn_gate", "ffn_up", "ffn_down")}
        for tensor, shape in shapes.items():
            weight = generator.standard_normal(shape).astype(np.float32)
            if len(shape) == 2:
                quantised = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
                writer.add_tensor(f"{tensor}.weight", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            else:
                writer.add_tensor(f"{tensor}.weight", weight)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return make


def _source(gguf: Path) -> ModelSource:
    return ModelSource(str(gguf), str(gguf.parent), gguf.name)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the GGUF files de-quantised for the cache."""
    read: list[str] = []

    def noted(source: ModelSource, *given: Any) -> object:
        read.append(source.name)
        return read_weights(source, *given)

    monkeypatch.setattr(conversions, "read_weights", noted)
    return read


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_kept_conversion_holds_the_weights_of_the_gguf(make_gguf: MakeGguf, dtype: torch.dtype) -> None:
    precision = Precision("cpu", dtype, "test")
    source = _source(make_gguf())
    expected, _ = read_weights(source, precision)
    found = converted(source, precision)
    assert (found.name, found.gguf_file) == (source.name, None)
    model, tokenizer = read_weights(found, precision)
    assert tokenizer.eos_token_id == 258
    for name, weight in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_a_gguf_by_path_is_converted_once(make_gguf: MakeGguf, reads: list[str]) -> None:
    """Regression: it was de-quantised at every start."""
    gguf = make_gguf()
    for _ in range(2):
        pair = ModelPair.open(str(gguf), precision="float32", device="cpu")
        assert pair.info.name == str(gguf)
    shutil.copy(gguf, gguf.with_name("same.gguf"))
    ModelPair.open(str(gguf.with_name("same.gguf")), precision="float32", device="cpu")
    assert reads == ["tiny.gguf"]
    ModelPair.open(str(make_gguf("other.gguf", seed=1)), precision="float32", device="cpu")
    ModelPair.open(str(gguf), precision="bfloat16", device="cpu")
    assert reads == ["tiny.gguf", "other.gguf", "tiny.gguf"]
    assert sorted(entry.gguf for entry in conversions.conversions()) == ["other.gguf", "tiny.gguf", "tiny.gguf"]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "complete"])
def test_a_damaged_entry_is_made_again(make_gguf: MakeGguf, reads: list[str], file: str) -> None:
    source = _source(make_gguf())
    folder = Path(converted(source, FLOAT32).location)
    before = {name: weight.clone() for name, weight in load_file(folder / "model.safetensors").items()}
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    assert converted(source, FLOAT32).location == str(folder)
    assert len(reads) == 2
    after = load_file(folder / "model.safetensors")
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    converted(source, FLOAT32)
    assert len(reads) == 2


def test_one_changed_bit_anywhere_makes_an_entry_again(
    make_gguf: MakeGguf, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "SAMPLED", 4)  # bytes at each place of a fingerprint, which misses the others
    source = _source(make_gguf())
    weights = Path(converted(source, FLOAT32).location) / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-30] + bytes([good[-30] ^ 1]) + good[-29:])
    converted(source, FLOAT32)
    assert len(reads) == 2
    assert weights.read_bytes() == good


def test_the_least_recently_used_go_first(
    make_gguf: MakeGguf, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [_source(make_gguf(f"{seed}.gguf", seed)) for seed in range(3)]
    for age, source in enumerate(sources[:2]):
        os.utime(Path(converted(source, FLOAT32).location) / "complete", (1000 + age,) * 2)
    shutil.copytree(converted(sources[0], FLOAT32).location, own_cache / DEFAULT_BASE)  # now 0 was used last
    os.utime(own_cache / DEFAULT_BASE / "complete", (1, 1))
    size = conversions.conversions()[0].bytes
    monkeypatch.setattr(conversions, "MOST_BYTES", int(3.5 * size))
    converted(sources[2], FLOAT32)
    kept = conversions.conversions()
    assert kept[0].folder.name == DEFAULT_BASE, "the default model stays, however old"
    assert [entry.gguf for entry in kept[1:]] == ["0.gguf", "2.gguf"]
    monkeypatch.setattr(conversions, "MOST_BYTES", 1)
    converted(sources[1], FLOAT32)
    assert [entry.gguf for entry in conversions.conversions()[1:]] == ["1.gguf"], "the newest stays"


def test_entries_are_cleared_by_name_or_all(make_gguf: MakeGguf, own_cache: Path) -> None:
    folders = [Path(converted(_source(make_gguf(f"{seed}.gguf", seed)), FLOAT32).location) for seed in range(2)]
    (own_cache / "outcomes").mkdir()
    (own_cache / ".converting-killed").mkdir()
    size = sum(file.stat().st_size for file in folders[0].iterdir())
    assert clear([folders[0].name, "no such entry"]) == size
    assert not folders[0].exists()
    assert folders[1].exists()
    assert clear() > 0
    assert [path.name for path in own_cache.iterdir()] == ["outcomes"]
    assert clear() == 0


def test_a_full_disk_leaves_the_gguf_to_be_read(
    make_gguf: MakeGguf, own_cache: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    source = _source(make_gguf())
    with full_disk(10_000):
        assert converted(source, FLOAT32) == source
    assert list(own_cache.iterdir()) == []


def test_what_is_no_gguf_is_one_sentence_and_leaves_nothing(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF nonsense" * 20)
    with pytest.raises(ModelUnavailable, match="could not be loaded"):
        ModelPair.open(str(tmp_path / "a.gguf"), precision="float32", device="cpu")
    assert list(own_cache.iterdir()) == []
