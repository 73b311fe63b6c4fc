"""GGUF files read back by transformers' own loader and by gguf's reader, against the encoder that wrote them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from sempa.cli import main
from sempa.config import EncoderConfig
from sempa.embedding.encoder import Encoder
from sempa.embedding.gguf_export import TYPES, export_gguf, export_gguf_adapter
from sempa.embedding.postprocess import Postprocess
from sempa.errors import InputError, StorageError
from sempa.models.gguf_vocabulary import SPACE
from sempa.models.pair import ModelPair
from sempa.training.policy import PolicyModel

SENTENCES = ["A cat", "Really?", 'He said "no"', "  two\n lines ", "12345 apples", "The hare outran the hound."]
CORPUS = [
    'This sentence : "The hare outran the hound." means in one word:"',
    "Apples and 12345 pears, said two of the cats.",
] * 3
GEMMA3 = {
    "intermediate_size": 48,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "num_hidden_layers": 6,
    "sliding_window": 8,
    "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 256}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"tie_word_embeddings": False}),
    "llama, tied, with biases": ("llama", {"tie_word_embeddings": True, "attention_bias": True}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 128}),
    "gemma3": ("gemma3_text", GEMMA3),
}
Pairs = Callable[..., ModelPair]


def byte_level(split: pre_tokenizers.PreTokenizer | None = None) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer with merges, an added word and ChatML's tokens; it adds none of them itself."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = split or pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    core.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, special_tokens=special)
    )
    core.add_tokens(["<think>"])
    made = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=special[1], eos_token=special[2])
    made.chat_template = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
    return made


def _split(name: str) -> pre_tokenizers.PreTokenizer:
    return _then_bytes(pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[name]), "isolated"))


def _then_bytes(split: pre_tokenizers.PreTokenizer) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece() -> PreTrainedTokenizerFast:
    """Return a tokenizer as Gemma's: spaces kept as a letter, unknown letters as bytes, <bos> first."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Replace(" ", SPACE)
    core.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    core.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=[*special, *pieces]))
    state = json.loads(core.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] in special]
    core = Tokenizer.from_str(json.dumps(state))
    core.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>"
    )


@pytest.fixture
def family_pair(
    tmp_path: Path, make_model: Callable[..., Any], make_tuning: Callable[..., PolicyModel]
) -> Callable[[str], ModelPair]:
    """Return a maker of tiny pairs of a family of FAMILIES, with a random adapter, and rows for unused tokens."""

    def make(family: str, **changed: Any) -> ModelPair:
        architecture, options = FAMILIES[family]
        split = _split("qwen2") if "qwen" in family else None  # transformers gives Qwen models this one in any case
        tokenizer = sentencepiece() if family == "gemma3" else byte_level(split)
        ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id")}
        model = make_model(architecture, vocab_size=len(tokenizer) + 3, **{**options, **ids, **changed})
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.endswith("norm.weight"):
                    weight.add_(torch.linspace(-0.5, 0.5, len(weight)))
        model.save_pretrained(tmp_path / "base")
        tokenizer.save_pretrained(tmp_path / "base")
        bare = ModelPair.open(str(tmp_path / "base"), precision="float32", device="cpu")
        make_tuning(bare).save(tmp_path / "adapter")
        return ModelPair.open(str(tmp_path / "base"), str(tmp_path / "adapter"), precision="float32", device="cpu")

    return make


def _logits(pair: ModelPair, variant: str) -> torch.Tensor:
    ids = torch.tensor([pair.tokenizer(SENTENCES[-1]).input_ids])
    with pair.using(variant) as model, torch.no_grad():
        return model(ids).logits


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_reads_back_the_same_model(
    family: str, family_pair: Callable[..., ModelPair], tmp_path: Path
) -> None:
    encoder = Encoder(family_pair(family))
    for variant in encoder.variants:
        path = tmp_path / f"{variant}.gguf"
        export_gguf(encoder, path, variant)
        found = ModelPair.open(str(path), precision="float32", device="cpu")
        assert [found.tokenizer(text).input_ids for text in SENTENCES] == [
            encoder.pair.tokenizer(text).input_ids for text in SENTENCES
        ]
        assert found.tokenizer.chat_template == encoder.pair.tokenizer.chat_template
        torch.testing.assert_close(_logits(found, "base"), _logits(encoder.pair, variant), atol=1e-4, rtol=1e-4)
        known = encoder.encode(SENTENCES, variant)
        np.testing.assert_allclose(Encoder(found, encoder.config).encode(SENTENCES), known, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_file_states_what_llama_cpp_needs(
    family: str, family_pair: Callable[..., ModelPair], tmp_path: Path
) -> None:
    encoder = Encoder(family_pair(family))
    export_gguf(encoder, tmp_path / "model.gguf")
    fields = {name: field.contents() for name, field in gguf.GGUFReader(tmp_path / "model.gguf").fields.items()}
    architecture = fields["general.architecture"]
    assert fields[f"{architecture}.pooling_type"] == gguf.PoolingType.LAST
    assert fields["tokenizer.ggml.add_eos_token"] is False
    assert fields["tokenizer.ggml.add_bos_token"] is (family == "gemma3")
    assert fields["tokenizer.ggml.token_type"][-3:] == [gguf.TokenType.UNUSED] * 3
    assert json.loads(fields["sempa.recipe"])["template"] == "prompteol"
    if family == "gemma3":
        assert fields["gemma3.attention.sliding_window"] == 8
        assert fields["gemma3.attention.sliding_window_pattern"] == 6
        assert fields["gemma3.rope.freq_base_swa"] == 10_000
        assert fields["tokenizer.ggml.add_space_prefix"] is False


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adapter_alone_adds_what_merging_adds(
    family: str, family_pair: Callable[..., ModelPair], tmp_path: Path
) -> None:
    encoder = Encoder(family_pair(family))
    for variant in encoder.variants:
        export_gguf(encoder, tmp_path / f"{variant}.gguf", variant)
    export_gguf_adapter(encoder, tmp_path / "adapter.gguf")
    base, merged, adapter = (_read(tmp_path / f"{name}.gguf") for name in ("base", "sempa", "adapter"))
    fields = gguf.GGUFReader(tmp_path / "adapter.gguf").fields
    assert fields["general.type"].contents() == "adapter"
    assert fields["adapter.type"].contents() == "lora"
    alpha, changed = fields["adapter.lora.alpha"].contents(), 0
    for name, weight in base.items():
        expected = weight
        if f"{name}.lora_a" in adapter:
            a, b = adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"]
            expected, changed = weight + alpha / len(a) * b @ a, changed + 1
        np.testing.assert_allclose(merged[name], expected, atol=1e-5)
    assert changed == 7 * encoder.pair.layers
    assert len(adapter) == 2 * changed


def _read(path: Path) -> dict[str, np.ndarray]:
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors
    }


@pytest.mark.parametrize("dtype", TYPES)
def test_matrices_are_stored_in_the_dtype_asked_for(
    dtype: str, family_pair: Callable[..., ModelPair], tmp_path: Path
) -> None:
    encoder = Encoder(family_pair("llama", intermediate_size=40))
    export_gguf(encoder, tmp_path / "model.gguf", dtype=dtype)
    export_gguf(encoder, tmp_path / "exact.gguf")
    exact = _read(tmp_path / "exact.gguf")
    for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors:
        stored = tensor.tensor_type.name
        if len(tensor.shape) == 1:
            assert stored == "F32"
        else:  # rows of 40 numbers do not fill blocks of 32
            assert stored == ("F16" if dtype == "q8_0" and tensor.shape[0] == 40 else TYPES[dtype])
        values, known = gguf.quants.dequantize(tensor.data, tensor.tensor_type), exact[tensor.name]
        assert np.abs(values - known).max() <= 0.01 * np.abs(known).max()


def test_llama_3_s_rotary_frequencies_are_factors_of_plain_ones(
    family_pair: Callable[..., ModelPair], tmp_path: Path
) -> None:
    encoder = Encoder(family_pair("llama", rope_parameters=LLAMA3_ROPE))
    export_gguf(encoder, tmp_path / "model.gguf")
    factors = _read(tmp_path / "model.gguf")["rope_freqs.weight"]
    np.testing.assert_allclose(factors, [1, 7.6674, 8, 8], rtol=1e-4)  # wavelengths 6, 63, 628, 6283


@pytest.mark.parametrize(
    ("split", "name"),
    [
        (pre_tokenizers.ByteLevel(add_prefix_space=False), "gpt-2"),
        (_then_bytes(pre_tokenizers.Digits(individual_digits=True)), "smollm"),
        (_split("qwen2"), "qwen2"),
        (_split("llama-bpe"), "llama3"),
        (_then_bytes(pre_tokenizers.Split(Regex("x+"), "isolated")), None),
    ],
)
def test_the_way_text_is_split_gets_its_name(
    split: pre_tokenizers.PreTokenizer, name: str | None, make_pair: Pairs, tmp_path: Path
) -> None:
    tokenizer = byte_level(split)
    encoder = Encoder(make_pair(tokenizer=tokenizer, vocab_size=len(tokenizer)))
    if name is None:
        with pytest.raises(InputError, match="no name for the way"):
            export_gguf(encoder, tmp_path / "model.gguf")
        assert list(tmp_path.iterdir()) == []
        return
    export_gguf(encoder, tmp_path / "model.gguf")
    assert gguf.GGUFReader(tmp_path / "model.gguf").fields["tokenizer.ggml.pre"].contents() == name


def test_what_cannot_be_written_is_one_sentence(
    family_pair: Callable[..., ModelPair], make_pair: Pairs, tmp_path: Path
) -> None:
    encoder, path = Encoder(family_pair("llama")), tmp_path / "model.gguf"
    with pytest.raises(InputError, match="'int3' is unknown: choose float32"):
        export_gguf(encoder, path, dtype="int3")
    with pytest.raises(InputError, match="family gpt2 cannot be written as GGUF"):
        export_gguf(Encoder(make_pair("gpt2")), path)
    with pytest.raises(InputError, match="only the last layer"):
        export_gguf(Encoder(encoder.pair, EncoderConfig(layer=-2)), path)
    rows = {variant: encoder.encode([f"Number {i}." for i in range(60)], variant) for variant in encoder.variants}
    centred = Postprocess.fit("centre", rows, "sixty sentences")
    with pytest.raises(InputError, match="without post-processing"):
        export_gguf(Encoder(encoder.pair, encoder.config, centred), path)
    with pytest.raises(InputError, match="no model 'sempa' here"):
        export_gguf_adapter(Encoder(make_pair()), path)
    with pytest.raises(InputError, match="scales this model's attention"):
        export_gguf(Encoder(make_pair("gemma3_text", **{**GEMMA3, "query_pre_attn_scalar": 8})), path)
    with pytest.raises(InputError, match="type yarn cannot"):
        export_gguf(Encoder(make_pair("qwen2", rope_parameters=YARN)), path)
    assert list(tmp_path.glob("*.gguf")) == []
    path.touch()
    for write in (export_gguf, export_gguf_adapter):
        with pytest.raises(InputError, match="exists already"):
            write(encoder, path)


def test_a_full_disk_is_a_storage_error(
    family_pair: Callable[..., ModelPair], tmp_path: Path, full_disk: Callable[[int], Any]
) -> None:
    encoder = Encoder(family_pair("llama"))
    with full_disk(20_000), pytest.raises(StorageError, match="GGUF file could not be written.*make room"):
        export_gguf(encoder, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_the_command_writes_both_files(
    model_folder: Path, adapter_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32"]
    path = tmp_path / "adapter.gguf"
    assert main(["export", "--to", "gguf-adapter", str(path), "--dtype", "float16", *chosen]) == 0
    assert {tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors} == {"F16"}
    assert "--lora" in capsys.readouterr().out
    assert main(["export", "--to", "gguf", str(tmp_path / "model.gguf"), "--framed", *chosen]) == 2
    assert "leave out --framed" in capsys.readouterr().err
