"""A loaded base model's shape and device, and how many tokens suit one forward."""

from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from sempa.models.precision import Precision

CPU_TOKENS, GPU_TOKENS = 512, 4_096
"""Tokens per forward: what the caches of a CPU hold, and what fills a GPU with a large model."""
LAUNCH_BOUND = 4e12
"""Tokens times parameters (an estimate) below which launching the kernels takes longer than computing."""
BYTES_A_STATE, BYTES_A_SCORE = 34, 16
"""Memory kept for the gradient: per number of a state, layer and token in bfloat16 (source: Korthikanti et al. 2022),
and per score of the vocabulary, which has a logarithm and two gradients."""


@dataclass(frozen=True)
class BaseInfo:
    """The base model's name and how it runs; `sharded` weights are spread over several processes."""

    name: str
    revision: str | None
    precision: Precision
    parameters: int
    sharded: bool = False


class BaseModel:
    """Facts about the model of a `ModelPair`."""

    info: BaseInfo
    _model: PreTrainedModel | PeftModel

    @property
    def device(self) -> torch.device:
        """Return the device the weights are on."""
        return self._model.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the number format of the base weights."""
        return self.info.precision.dtype

    @property
    def width(self) -> int:
        """Return D, the length of a state."""
        return int(self._model.config.hidden_size)

    @property
    def vocabulary(self) -> int:
        """Return V, the number of unembedding scores per state."""
        return int(self._model.get_output_embeddings().out_features)

    @property
    def forward_tokens(self) -> int:
        """Return how many tokens to put in one forward: few on a CPU, many on a GPU, within half its free memory."""
        if self.device.type != "cuda":
            return CPU_TOKENS
        free, total = torch.cuda.mem_get_info(self.device)
        if self.info.sharded:  # every process makes as many forwards: what is free differs between cards
            free = total // 2
        kept = self.layers * self.width * BYTES_A_STATE + self.vocabulary * BYTES_A_SCORE
        return max(CPU_TOKENS, min(max(GPU_TOKENS, int(LAUNCH_BOUND / self.info.parameters)), free // 2 // kept))

    def is_launch_bound(self, tokens: int) -> bool:
        """Return whether launching its kernels, not computing, takes the time of a pass over so many tokens."""
        return self.device.type == "cuda" and tokens * self.info.parameters <= LAUNCH_BOUND

    @property
    def layers(self) -> int:
        """Return the number of decoder layers."""
        return int(self._model.config.num_hidden_layers)

    @property
    def context_length(self) -> int | None:
        """Return the model's maximum number of tokens, or None if its configuration does not say."""
        return getattr(self._model.config, "max_position_embeddings", None)

    @property
    def sliding_window(self) -> int | None:
        """Return how many places back a token sees in layers with a sliding window, or None."""
        return getattr(self._model.config, "sliding_window", None)
