"""Write a model, or an adapter alone, as a GGUF file from which llama.cpp computes the same vectors and text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gguf
import torch
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from torch import Tensor
from transformers import PreTrainedModel

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.files import atomic_file
from sempa.models.combine import Lora, standalone
from sempa.models.gguf_vocabulary import add_vocabulary

TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "q8_0": "Q8_0"}
"""Number formats of the weights, with GGML's names."""
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
}
_POOLING = {"last": gguf.PoolingType.LAST, "mean": gguf.PoolingType.MEAN}


def export_gguf(encoder: Encoder, path: Path, variant: str | None = None, dtype: str = "float32") -> None:
    """Write one variant of an encoder into a new GGUF file, with vocabulary, chat template and pooling.

    The adapter is merged in float32 and matrices are then stored as `dtype`, "q8_0" in 8 bits. llama.cpp pools by
    itself but adds no template: send complete prompts. The recipe is JSON under the key `sempa.recipe`.
    Raises: InputError if the file exists, `dtype` is unknown, llama.cpp cannot compute the recipe or the model's family
    is not one of ARCHITECTURES, or the base cannot be merged; StorageError if the disk refuses.
    """
    _require_writable(encoder, path, dtype)
    if encoder.config.layer not in (-1, encoder.pair.layers) or encoder.postprocess is not None:
        raise InputError("llama.cpp reads only the last layer, without post-processing: use other --settings.")
    variant = variant or encoder.best_variant
    model = standalone(encoder.pair, variant, torch.float32)
    with atomic_file(path, "The GGUF file") as aside:
        writer = GGUFWriter(aside, gguf.MODEL_ARCH_NAMES[_architecture(model.config)])
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name(f"{encoder.pair.info.name} ({variant})")
        writer.add_string("sempa.recipe", json.dumps(asdict(encoder.recipe(variant))))
        writer.add_file_type(LlamaFileType[f"MOSTLY_{TYPES[dtype]}" if dtype != "float32" else "ALL_F32"])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_config(writer, model.config)
        writer.add_pooling_type(_POOLING[encoder.config.pooling])
        add_vocabulary(writer, encoder.pair.tokenizer, model.config.vocab_size)
        _write(writer, _tensors(model), dtype)


def export_gguf_adapter(encoder: Encoder, path: Path, dtype: str = "float32") -> None:
    """Write an encoder's adapter alone into a new GGUF file, for use with the base's own.

    Raises: InputError without an adapter, for one that is more than plain LoRA, and as `export_gguf`.
    """
    _require_writable(encoder, path, dtype)
    config = encoder.pair.peft.get_base_model().config
    if encoder.pair.adapter is None:
        raise InputError("There is no adapter to write: give --adapter.")
    lora = Lora.read(str(encoder.pair.adapter.folder))
    with atomic_file(path, "The GGUF adapter") as aside:
        writer = GGUFWriter(aside, gguf.MODEL_ARCH_NAMES[_architecture(config)])
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_name(encoder.pair.adapter.name)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.factor * float(lora.config["r"]))
        _write(writer, _lora_tensors(lora.weights, config), dtype)


def _require_writable(encoder: Encoder, path: Path, dtype: str) -> None:
    if dtype not in TYPES:
        raise InputError(f"The dtype {dtype!r} is unknown: choose {', '.join(TYPES)}.")
    if path.exists():
        raise InputError(f"{path} exists already: choose another file or remove it.")


def _architecture(config: Any) -> gguf.MODEL_ARCH:
    if config.model_type not in ARCHITECTURES:
        raise InputError(f"Models of the family {config.model_type} cannot be written as GGUF: only {_FAMILIES}.")
    return ARCHITECTURES[config.model_type]


_FAMILIES = ", ".join(ARCHITECTURES)


def _add_config(writer: GGUFWriter, config: Any) -> None:
    """Add the model's shape under llama.cpp's names."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    rotation = config.rope_parameters
    if config.model_type == "gemma3_text":
        largest = config.num_hidden_layers == 62  # llama.cpp knows the 27B model, scaled otherwise, by its layers
        if config.query_pre_attn_scalar != (config.hidden_size // config.num_attention_heads if largest else head):
            raise InputError("llama.cpp scales this model's attention otherwise, so it cannot be written as GGUF.")
        writer.add_sliding_window(config.sliding_window)
        writer.add_sliding_window_pattern([*config.layer_types, "full_attention"].index("full_attention") + 1)
        writer.add_rope_freq_base_swa(rotation["sliding_attention"]["rope_theta"])
        rotation = rotation["full_attention"]
    writer.add_rope_freq_base(rotation["rope_theta"])
    kind = rotation["rope_type"]
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rotation["factor"])
    elif kind != "default" and (kind, config.model_type) != ("llama3", "llama"):
        raise InputError(f"Rotary positions of the type {kind} cannot be written as GGUF.")


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Yield a model's weights as llama.cpp names and arranges them."""
    config = model.config
    names = gguf.get_tensor_name_map(_architecture(config), config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        offset = 1 if config.model_type == "gemma3_text" and name.endswith("norm.weight") else 0
        yield names.get_name(name, (".weight", ".bias")), _arranged(name, weight + offset, config)
    if config.rope_parameters.get("rope_type") == "llama3":  # llama.cpp divides each frequency by its factor
        found = model.base_model.rotary_emb.inv_freq.float()
        plain = config.rope_parameters["rope_theta"] ** -(torch.arange(len(found)) / len(found))
        yield "rope_freqs.weight", plain / found


def _lora_tensors(weights: Mapping[str, Tensor], config: Any) -> Iterator[tuple[str, Tensor]]:
    names = gguf.get_tensor_name_map(_architecture(config), config.num_hidden_layers)
    for name, weight in weights.items():
        module, side = name.removeprefix("base_model.model.").removesuffix(".weight").rsplit(".lora_", 1)
        arranged = _arranged(f"{module}.weight", weight, config) if side == "B" else weight
        yield f"{names.get_name(module)}.weight.lora_{side.lower()}", arranged


def _arranged(name: str, weight: Tensor, config: Any) -> Tensor:
    """Return a weight with the rows in llama.cpp's order: in the Llama family each head's halves are interleaved."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
    if config.model_type != "llama" or heads is None:
        return weight
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(weight.shape)


def _write(writer: GGUFWriter, tensors: Iterator[tuple[str, Tensor]], dtype: str) -> None:
    """Write all; vectors stay in float32, and rows that are no multiple of a block in float16."""
    for name, weight in tensors:
        kind = GGMLQuantizationType[TYPES[dtype] if weight.dim() > 1 else "F32"]
        if weight.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            kind = GGMLQuantizationType.F16
        values = weight.detach().float().cpu().numpy()
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
