"""llama.cpp itself, in an environment of its own, computes what the encoder computes, for every family."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import complete_prompts, environment, run_in

from sempa.embedding.encoder import Encoder
from sempa.embedding.gguf_export import export_gguf, export_gguf_adapter
from sempa.files import cache_folder
from sempa.models.pair import ModelPair
from tests.embedding.test_gguf_export import FAMILIES, LLAMA3_ROPE, SENTENCES, family_pair

__all__ = ["family_pair"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
VARIED: dict[str, dict[str, Any]] = {
    **{family: {} for family in FAMILIES},
    "llama, tied, with biases": {"rope_parameters": LLAMA3_ROPE},
    "gemma3": {"layer_types": ["sliding_attention", "full_attention"] * 3},
}
"""What transformers' own reader would ignore, but llama.cpp does not."""


@pytest.fixture(scope="module")
def llama_cpp() -> Callable[..., list[dict[str, Any]]]:
    """Return a function that runs a job in llama.cpp; its packages are installed once, into the cache folder."""
    try:
        environment("llama.cpp")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"xllamacpp cannot be installed into {cache_folder()} ({error})")
    return lambda **job: run_in("llama.cpp", "engine_llama_cpp.py", threads=1, **job)


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_gives_the_same_vectors(
    family: str, family_pair: Callable[..., ModelPair], tmp_path: Path, llama_cpp: Callable[..., list[dict[str, Any]]]
) -> None:
    encoder = Encoder(family_pair(family, **VARIED[family]))
    prompts = {"texts": complete_prompts(encoder, SENTENCES)}
    for variant in encoder.variants:
        export_gguf(encoder, tmp_path / f"{variant}.gguf", variant)
    export_gguf_adapter(encoder, tmp_path / "adapter.gguf")
    (merged,) = llama_cpp(model=str(tmp_path / "sempa.gguf"), parts=[prompts])
    both = [{**prompts, "scale": scale} for scale in (0.0, 1.0)]
    base, sempa = llama_cpp(model=str(tmp_path / "base.gguf"), adapter=str(tmp_path / "adapter.gguf"), parts=both)
    for found, variant in ((merged, "sempa"), (base, "base"), (sempa, "sempa")):
        known = encoder.encode(SENTENCES, variant)
        assert np.sum(np.array(found["vectors"]) * known, axis=1).min() > 0.9999
