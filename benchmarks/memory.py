"""Estimate memory and time of training larger bases from one and two decoder layers of their real widths.

A random model with a base's widths takes a training step with one layer, then with two. Counting the tensors that
autograd keeps for backward gives one layer's share as the difference, and from it the total without loading the base.
Weights, adapter, gradients and Adam's two moments follow from the shapes. Time is computed too, not measured:
operations per pair over the stated share of the stated GPU's rate.

`python benchmarks/memory.py --json results/memory.json`
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from shared import keep
from transformers import LlamaConfig, LlamaForCausalLM

from sempa.config import TrainConfig
from sempa.models.pair import BaseInfo, ModelPair
from sempa.models.precision import Precision
from sempa.models.rows import PairIds
from sempa.training.objectives import PreferencePass
from sempa.training.policy import PolicyModel

GPU, GPU_RATE, SHARE = "A100", 312e12, 0.3
"""The GPU, its dense bfloat16 rate in operations per second as the vendor states it, and the assumed utilisation."""
FOUR_BITS = 0.5 + 0.127 / 8
"""Bytes per weight in NF4 with double quantisation (Dettmers et al. 2023: 0.127 bits per weight for the constants)."""
PROMPT, ANSWER = 30, 11
"""Mean tokens of a prompt after the shared prefix, and of an answer, over the NLI triplets."""
TOKEN_CAP = 512
"""Tokens per forward pass in the table."""


@dataclass(frozen=True)
class Shape:
    """Hold a base's name and the sizes that determine its memory."""

    name: str
    hidden: int
    mlp: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int
    tied: bool


SHAPES = [
    Shape("135M (SmolLM2)", 576, 1536, 30, 9, 3, 49_152, True),
    Shape("1B (Llama 3.2)", 2048, 8192, 16, 32, 8, 128_256, True),
    Shape("3B (Llama 3.2)", 3072, 8192, 28, 24, 8, 128_256, True),
    Shape("8B (Llama 3.1)", 4096, 14_336, 32, 32, 8, 128_256, False),
]


class _NoTokenizer:
    pad_token_id = eos_token_id = bos_token_id = 0


def kept(shape: Shape, layers: int, config: TrainConfig) -> tuple[int, dict[str, int]]:
    """Return the bytes autograd keeps for a forward of `token_cap` tokens, and the parameters per layer."""
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=shape.hidden,
            intermediate_size=shape.mlp,
            num_hidden_layers=layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_heads,
            head_dim=shape.hidden // shape.heads,
            vocab_size=1024,  # the LM head's share is counted from the shape
            tie_word_embeddings=shape.tied,
            attn_implementation="sdpa",
        )
    ).to(torch.bfloat16)
    pair = ModelPair(model, _NoTokenizer(), BaseInfo("shape", None, Precision("cpu", torch.bfloat16, "counted"), 0))
    tuning = PolicyModel(pair, config)
    tuning.pair.workers.count = 1
    count = max(1, config.token_cap // (PROMPT + 2 * ANSWER - 2))
    rows = [PairIds(tuple(range(2, 2 + PROMPT)), (tuple(range(ANSWER)),) * 2) for _ in range(count)]
    objective = PreferencePass(tuning, rows, config)
    parameters = {id(p.untyped_storage()) for p in model.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in parameters:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        objective.backward(rows)
    layer = sum(p.numel() for n, p in model.named_parameters() if "layers.0." in n and "lora_" not in n)
    adapter = sum(p.numel() for n, p in tuning.trainable.items() if "layers.0." in n)
    return sum(held.values()), {"layer": layer, "adapter": adapter}


def computed(shape: Shape, config: TrainConfig) -> dict[str, Any]:
    """Return one base's figures."""
    one, counts = kept(shape, 1, config)
    two, _ = kept(shape, 2, config)
    embedding = shape.vocabulary * shape.hidden
    body = shape.layers * counts["layer"]
    weights = body + embedding * (1 if shape.tied else 2)
    adapter = shape.layers * counts["adapter"]
    answers = 2 * ANSWER * config.token_cap // (PROMPT + 2 * ANSWER - 2)
    logits = answers * shape.vocabulary * (2 + 4 + 4)  # bfloat16 logits, float32 log-softmax and its gradient
    activations = one + (shape.layers - 1) * (two - one) + logits
    operations = 3 * 2 * ((PROMPT + 2 * ANSWER - 2) * body + 2 * ANSWER * embedding)
    return {
        "base": shape.name,
        "weights": weights,
        "adapter_parameters": adapter,
        "bytes": {
            "weights_bfloat16": 2 * weights,
            "weights_four_bits": round(FOUR_BITS * body) + 2 * (weights - body),
            "adapter_gradients_adam": adapter * (4 + 4 + 8),
            "activations": activations,
        },
        "operations_a_pair": operations,
        "pairs_a_second": SHARE * GPU_RATE / operations,
    }


def main() -> int:
    """Print the table and write the figures."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path)
    args = made.parse_args()
    torch.manual_seed(0)
    config = TrainConfig(token_cap=TOKEN_CAP)
    rows = [computed(shape, config) for shape in SHAPES]
    result = {
        "kind": "memory",
        "how": "computed from one and two layers of each base's widths; no base of this table was run complete",
        "gpu": {"name": GPU, "operations_a_second": GPU_RATE, "share_assumed": SHARE},
        "tokens": {"prompt": PROMPT, "answer": ANSWER},
        "bases": rows,
        "config": asdict(config),
    }
    for row in rows:
        print(json.dumps(row))
    keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
