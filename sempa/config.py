"""The recipes: how sentences are embedded, and how an adapter is trained.

The embedding recipe travels as `sempa.json` with every adapter, index and result, so that artefacts made with different
recipes are never mixed. Standard library only.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Self

from sempa.errors import InputError, RecipeMismatch, StorageError
from sempa.templates import SentenceTemplate

SCHEMA_VERSION = 2
RECIPE_FILE, METRICS, RUN_FACTS = "sempa.json", "metrics.jsonl", "training.json"
"""Files beside an adapter's weights: its recipe, its log (one object per step), and facts of the run."""
DEFAULT_BASE = "smollm2-135m-instruct"
"""The default model; see `sempa.models.named`."""
WORDS, FEATURES = "words", "features"
CODE_KINDS = (WORDS, FEATURES)
"""Kinds of sparse codes: the vocabulary's words, without training, and learned features."""

VARIANTS = ("base", "sempa")
"""The two names of the loaded model: adapter off, adapter on."""
OBJECTIVES = ("dpo", "listwise", "contrastive", "joint")


@dataclass(frozen=True)
class EncoderConfig:
    """How a sentence becomes a vector.

    `template` is a name of `sempa.templates.EMBEDDING_TEMPLATES` or a text with one `{sentence}`; `layer` counts as
    Python does in the list [embeddings, layer 1, ..., last layer after the final norm], so -1 is the last;
    `pooling` is "last" (the last token's state) or "mean" (the mean over the prompt's tokens); `max_length` is in
    tokens of the prompt; `adapter` is the SHA-256 of the adapter's weights, None for the base model;
    `postprocess` is the SHA-256 of the saved statistics, None for raw vectors; `code` names the coder and the k of
    sparse codes ("words-1a2b@32"), None for dense vectors.
    """

    base_model: str = DEFAULT_BASE
    base_revision: str | None = None
    template: str = "prompteol"
    layer: int = -1
    pooling: str = "last"
    max_length: int = 512
    adapter: str | None = None
    postprocess: str | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        SentenceTemplate.embedding(self.template)
        if self.pooling not in ("last", "mean"):
            raise InputError(f"Pooling {self.pooling!r} is unknown: choose 'last' or 'mean'.")
        if self.max_length < 1:
            raise InputError(f"max_length is {self.max_length} tokens: it must be at least 1.")

    def differences(self, other: "EncoderConfig") -> dict[str, tuple[object, object]]:
        """Return the fields in which two recipes differ, each with (mine, theirs)."""
        mine, theirs = asdict(self), asdict(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    def require_same(self, other: "EncoderConfig", *, mine: str, theirs: str, cure: str) -> None:
        """Raise unless both recipes are equal.

        Raises: RecipeMismatch, naming every field that differs with both values, and the cure.
        """
        if different := self.differences(other):
            named = "; ".join(f"{field}: {mine} {a!r}, {theirs} {b!r}" for field, (a, b) in different.items())
            raise RecipeMismatch(f"{mine} and {theirs} were made with different recipes ({named}). {cure}")


@dataclass(frozen=True)
class TrainConfig:
    """How an adapter is trained; RECIPES has settings that belong together.

    Without `balance_negation`, a preference for entailments also teaches the model to avoid negation. `stop_after` does
    not change the learning-rate schedule, whose length `max_samples` fixes. `token_cap` changes the result by rounding
    only (None: by device).
    Source: Chen et al. 2026, experimental set-up; DPO beta is the framework default there. Pang et al. 2024
    (`rpo_alpha`; TRL's and ms-swift's `rpo_alpha`).
    """

    objective: Annotated[
        str,
        "what to learn: dpo (entailment over contradiction), listwise (neutral between them), contrastive "
        "(cosines) or joint (dpo and contrastive)",
    ] = "dpo"
    template: Annotated[str, "paraphrase template: P1 to P5, or a text with {sentence}"] = "P1"
    prompt_format: Annotated[
        str,
        "chat (the base's chat format; without one, plain text and a line break) or plain (the template alone)",
    ] = "chat"
    embedding_template: Annotated[
        str,
        "template of sentence embeddings in contrastive and joint: prompteol, cot, knowledge, plain, or a text "
        "with {sentence}",
    ] = "prompteol"
    tokenised_share: Annotated[float, "share of sentences to tokenise and lower-case, as in SentEval's data"] = 0.0
    balance_negation: Annotated[
        bool,
        "drop triplets until entailments and contradictions negate equally often (English)",
    ] = False
    beta: Annotated[float, "DPO beta: how strongly training is held close to the base model"] = 0.1
    tau: Annotated[float, "temperature of the contrastive cosines"] = 0.05
    contrastive_weight: Annotated[float, "weight of the contrastive loss in joint"] = 1.0
    rpo_alpha: Annotated[float, "weight of the preferred answer's negative log-likelihood (as in TRL)"] = 0.0
    kl_weight: Annotated[float, "weight of the KL penalty towards the base model on plain text; 0 turns it off"] = 0.0
    kl_text_share: Annotated[float, "share of the text's own tokens in the KL target"] = 0.0
    lr: Annotated[float, "peak learning rate"] = 2e-4
    batch_size: Annotated[int, "triplets per optimiser step"] = 64
    max_samples: Annotated[
        int | None,
        "triplets to train on; also sets the length of the learning-rate schedule. Unless this or --stop-after "
        "is given, training makes at most three passes over the data",
    ] = None
    stop_after: Annotated[int | None, "stop after this many triplets without shortening the schedule"] = None
    warmup_ratio: Annotated[float, "share of steps used for warm-up"] = 0.05
    weight_decay: Annotated[float, "AdamW weight decay"] = 0.0
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    lora_r: Annotated[int, "LoRA rank"] = 8
    lora_alpha: Annotated[int, "LoRA alpha"] = 32
    lora_dropout: Annotated[float, "LoRA dropout"] = 0.0
    max_length: Annotated[int, "maximum tokens of a prompt with its answer; longer triplets are skipped"] = 1024
    evaluate_every: Annotated[
        int,
        "score a checkpoint every this many triplets; without it, at least five times in a run",
    ] = 1024
    token_cap: Annotated[int | None, "tokens per forward pass; lower it if memory runs out (default: by device)"] = None
    seed: Annotated[int, "seed for data order, adapter weights and dropout"] = 42

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise InputError(f"Objective {self.objective!r} is unknown: choose {', '.join(OBJECTIVES)}.")
        if self.prompt_format not in ("chat", "plain"):
            raise InputError(f"The prompt format {self.prompt_format!r} is unknown: choose chat or plain.")
        SentenceTemplate.paraphrase(self.template)
        SentenceTemplate.embedding(self.embedding_template)
        require(self, "greater than 0", lambda x: x > 0, "beta lr max_grad_norm tau contrastive_weight")
        require(self, "at most 1", lambda x: x <= 1, "lr")
        require(self, "at least 0", lambda x: x >= 0, "kl_weight rpo_alpha")
        counts = "batch_size max_samples stop_after evaluate_every token_cap max_length lora_r lora_alpha"
        require(self, "at least 1", lambda x: x is None or x >= 1, counts)
        shares = "warmup_ratio lora_dropout weight_decay adam_beta2 tokenised_share kl_text_share"
        require(self, "at least 0 and below 1", lambda x: 0 <= x < 1, shares)

    def summary(self) -> str:
        """Return the settings that matter to the objective, for the model card."""
        parts = {
            f"paraphrase template {self.template.strip()} ({self.prompt_format}), beta {self.beta}": self.prefers,
            f"rpo_alpha {self.rpo_alpha}": self.prefers and self.rpo_alpha,
            f"embedding template {self.embedding_template}, tau {self.tau}": self.contrasts,
            f"contrastive weight {self.contrastive_weight}": self.objective == "joint",
            f"KL weight {self.kl_weight} with {self.kl_text_share:.0%} text targets": self.kl_weight,
            f"{self.tokenised_share:.0%} of the sentences tokenised and lower-cased": self.tokenised_share,
            "negation balanced between entailments and contradictions": self.balance_negation,
            f"peak learning rate {self.lr}, {self.batch_size} triplets per step": True,
        }
        return ", ".join(part for part, applies in parts.items() if applies)

    @property
    def idle(self) -> set[str]:
        """Return the fields that have no effect with this objective and these settings."""
        used = {
            ("template", "prompt_format", "beta", "rpo_alpha"): self.prefers,
            ("embedding_template", "tau"): self.contrasts,
            ("contrastive_weight",): self.objective == "joint",
            ("kl_text_share",): self.kl_weight > 0,
        }
        return {name for names, has_effect in used.items() if not has_effect for name in names}

    @property
    def prefers(self) -> bool:
        """Whether responses are ranked by likelihood against the reference."""
        return self.objective != "contrastive"

    @property
    def contrasts(self) -> bool:
        """Whether sentences are embedded and ranked by cosine."""
        return self.objective in ("contrastive", "joint")


def settings_of(kind: type[Any]) -> dict[str, str]:
    """Return the settings that a command line offers, each with its help."""
    return {field.name: field.type.__metadata__[0] for field in fields(kind) if hasattr(field.type, "__metadata__")}


def require(config: object, bounds: str, hold: Callable[[Any], bool], names: str) -> None:
    """Raise InputError, naming the field, its value and the bounds, unless all fields named hold."""
    for name in names.split():
        if not hold(value := getattr(config, name)):
            raise InputError(f"{name} is {value}: it must be {bounds}.")


_SMALL = TrainConfig(
    lr=1e-3,
    rpo_alpha=0.1,
    kl_weight=2.0,
    kl_text_share=0.3,
    lora_r=32,
    lora_alpha=128,
    tokenised_share=0.5,
    balance_negation=True,
    max_samples=8192,
    stop_after=3072,
    evaluate_every=512,
)
RECIPES = {
    "small": _SMALL,
    "contrastive": replace(
        _SMALL,
        objective="contrastive",
        rpo_alpha=0.0,
        kl_weight=4.0,
        kl_text_share=0.1,
        batch_size=256,
        max_samples=None,
        stop_after=None,
        evaluate_every=8192,
    ),
    "paper": TrainConfig(
        lr=1e-4,
        batch_size=256,
        weight_decay=0.1,
        adam_beta2=0.95,
        lora_dropout=0.05,
        evaluate_every=20_000,
    ),
}
"""Settings by name: best for small models by the paper's method, best embeddings that still write (one pass over all
triplets), and the paper's own with its framework's defaults."""


@dataclass(frozen=True)
class Recipe:
    """The content of `sempa.json`: the embedding recipe and, for an adapter, how it was trained."""

    encoder: EncoderConfig
    training: TrainConfig | None = None

    def save(self, folder: Path) -> None:
        """Write `sempa.json` into a folder."""
        payload = {"schema_version": SCHEMA_VERSION, "encoder": asdict(self.encoder)}
        if self.training is not None:
            payload["training"] = asdict(self.training)
        (folder / RECIPE_FILE).write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `sempa.json` from a folder.

        Raises: StorageError if the file is missing, not JSON, or of another schema version.
        """
        path = folder / RECIPE_FILE
        try:
            payload = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StorageError(f"{folder} has no {RECIPE_FILE}: it was not written by SemPA Studio.") from None
        except (OSError, ValueError) as error:
            raise StorageError(f"{path} cannot be read ({error}): restore or recreate the folder.") from error
        return cls.from_dict(payload, where=str(path))

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any], where: str) -> Self:
        """Build a recipe from parsed JSON; `where` names the file in errors.

        Raises: StorageError if it is not a recipe, has another schema version, or has unknown fields.
        """
        if not (isinstance(payload, Mapping) and isinstance(payload.get("encoder", {}), Mapping)):
            raise StorageError(f"{where} is not a valid recipe: restore the file or recreate the artefact.")
        if (version := payload.get("schema_version")) != SCHEMA_VERSION:
            raise StorageError(
                f"{where} has schema version {version!r}, but this SemPA Studio reads {SCHEMA_VERSION}: "
                f"use the matching release or recreate the artefact."
            )
        training = payload.get("training")
        return cls(
            encoder=_from_dict(EncoderConfig, payload.get("encoder", {}), where),
            training=None if training is None else _from_dict(TrainConfig, training, where),
        )


def _from_dict(kind: type[EncoderConfig | TrainConfig], values: Mapping[str, Any], where: str) -> Any:
    if unknown := sorted(set(values) - {field.name for field in fields(kind)}):
        raise StorageError(f"{where} has unknown fields {', '.join(unknown)}: it comes from another version.")
    return kind(**values)


INSTALLED = Path(__file__).with_name("_shipped").is_dir()
"""Whether this is the installed package, not a checkout."""
SHIPPED = Path(__file__).with_name("_shipped") if INSTALLED else Path(__file__).parents[1]
"""The folder of app.py, train.py, adapters/, index/demo/ and results/."""
