"""LangChain's and LlamaIndex's embeddings at the endpoint: the vectors of the encoder.

Neither is in requirements-dev.txt: pip install langchain-openai llama-index-embeddings-openai-like
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sempa.embedding.encoder import Encoder
from sempa.models.pair import ModelPair

pytestmark = pytest.mark.slow
TEXTS = ["The hare outran the hound.", "Größe 漢字."]


def _langchain(url: str, model: str) -> Any:
    library = pytest.importorskip("langchain_openai", reason="LangChain is not installed")
    made = library.OpenAIEmbeddings(base_url=url, api_key="none", model=model, check_embedding_ctx_length=False)
    return made.embed_documents, made.embed_query


def _llama_index(url: str, model: str) -> Any:
    library = pytest.importorskip("llama_index.embeddings.openai_like", reason="LlamaIndex is not installed")
    made = library.OpenAILikeEmbedding(model_name=model, api_base=url, api_key="none")
    return made.get_text_embedding_batch, made.get_query_embedding


@pytest.mark.parametrize("open_client", [_langchain, _llama_index])
def test_vectors_are_the_encoder_s(
    serve: Callable[..., AbstractContextManager[Any]], model_folder: Path, adapter_folder: Path, open_client: Any
) -> None:
    open_client("http://127.0.0.1:1/v1", "base")  # skips before the app starts
    pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
    expected = Encoder(pair).encode_each(TEXTS)
    with serve("--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32") as served:
        for name, variant in (("base", "base"), (adapter_folder.name, "sempa")):
            many, one = open_client(f"{served.url}v1", name)
            np.testing.assert_allclose(many(TEXTS), expected[variant], atol=1e-5)
            np.testing.assert_allclose(one(TEXTS[1]), expected[variant][1], atol=1e-5)
