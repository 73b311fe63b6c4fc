"""Base and SemPA as models of MTEB, by name: `mteb.get_model("sempa/base")`. Needs the package mteb."""

from typing import Any

from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.model_meta import ModelMeta, ScoringFunction
from torch import Tensor, from_numpy

from sempa.embedding.encoder import Encoder
from sempa.models.pair import SEMPA


def register(encoder: Encoder) -> list[ModelMeta]:
    """Make a model pair known to MTEB, as `sempa/base` and `sempa/` with the adapter's name; return their metadata.

    The revision identifies the weights: of the base, the hub's or the file's; of an adapter, the start of its SHA-256.
    """
    metas = [_meta(encoder, variant) for variant in encoder.variants]
    MODEL_REGISTRY.update({str(meta.name): meta for meta in metas})
    return metas


class _Model(AbsEncoder):
    """Embed MTEB's batches; its prompts and batch sizes do not apply, since the recipe has its own."""

    def __init__(self, encoder: Encoder, variant: str) -> None:
        self.model = encoder
        self._variant = variant

    def encode(self, inputs: Any, **_: Any) -> Tensor:
        """Return (N, D) unit rows of all texts in a loader of batches."""
        return from_numpy(self.model.encode([text for batch in inputs for text in batch["text"]], self._variant))


def _meta(encoder: Encoder, variant: str) -> ModelMeta:
    pair, recipe = encoder.pair, encoder.recipe(variant)
    adapter = pair.adapter if variant == SEMPA else None

    def load(name: str, revision: str | None = None, **_: Any) -> Any:
        return _Model(encoder, variant)

    return ModelMeta(
        loader=load,  # a function, which MTEB's deep copy leaves as it is
        name=f"sempa/{adapter.name if adapter else variant}",
        revision=adapter.sha256[:40] if adapter else recipe.base_revision,
        release_date=None,
        languages=None,
        n_parameters=pair.info.parameters + (pair.adapter_parameters if adapter else 0),
        memory_usage_mb=None,
        max_tokens=encoder.limit,
        embed_dim=encoder.width,
        license=None,
        open_weights=True,
        public_training_code=None,
        public_training_data=None,
        framework=["PyTorch", "Transformers"],
        similarity_fn_name=ScoringFunction.COSINE,
        use_instructions=False,
        training_datasets=None,  # unknown of a base, so zero-shot is not claimed
        adapted_from=recipe.base_model if adapter else None,
    )
