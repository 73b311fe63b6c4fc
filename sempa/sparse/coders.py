"""Turn embeddings into readable sparse codes: words of the vocabulary, or features learned from embeddings."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from scipy import sparse
from torch import Tensor

from sempa.config import CODE_KINDS, FEATURES, WORDS, EncoderConfig
from sempa.embedding.encoder import Encoder, Progress
from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError, StorageError
from sempa.files import atomic_folder, require_unchanged, sha256_of, write_checksums
from sempa.models.pair import ModelPair
from sempa.sparse.autoencoder import SparseCoder
from sempa.sparse.settings import CODES_FOLDER, CodingConfig

Rows = NDArray[np.float32]
CODER_FILE, ABOUT_FILE = "coder.safetensors", "codes.json"
CODED_AT_ONCE = 4096
TAKEN_AT_ONCE = 65_536
"""Vectors of an index that are coded at once."""
OWN_AND_ALIGNED = 16
"""Words added to a query's own. Source: Nie et al. 2025."""
QUERY_WIDER = 4
"""A query keeps this many times a text's features: it is not stored, and more features find more."""


@dataclass(frozen=True)
class Feature:
    """Describe a feature by its typical words and the texts in which it is most active (none for a word)."""

    words: tuple[str, ...]
    texts: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return the name to show."""
        return " · ".join(self.words)


@dataclass(frozen=True)
class FittedCodes:
    """Hold one variant's fit: the direction (D,) to remove before words are found, and the autoencoder."""

    direction: Rows
    coder: SparseCoder
    features: Sequence[Feature]


class WordCoder:
    """Code a row by the k vocabulary words it points at most, after removing the direction all rows share.

    A feature is a token id; its activation is the token's unembedding score if positive. A query has its own words and
    OWN_AND_ALIGNED more, all with the same weight, so that a text's score is a sum over shared words.
    Source: Nie et al. 2025.
    """

    def __init__(self, pair: ModelPair, fitted: Mapping[str, FittedCodes]) -> None:
        self._pair, self._fitted = pair, fitted
        kept = b"".join(fitted[variant].direction.astype(np.float32).tobytes() for variant in sorted(fitted))
        self.name = f"{WORDS}-{hashlib.sha256(kept).hexdigest()[:12]}"

    def codes(self, rows: Rows, variant: str, k: int) -> sparse.csr_array:
        """Return (N, V) codes of (N, D) unit rows with at most k words each."""
        direction = _of_variant(self._fitted, variant).direction
        left = torch.from_numpy(rows - np.outer(rows @ direction, direction))
        scores, ids = self._pair.top_tokens(variant, left, k)
        return _unit_codes(scores.relu().numpy(), ids.numpy(), self._width)

    def queries(self, sentences: Sequence[str], rows: Rows, variant: str, k: int) -> sparse.csr_array:
        """Return (N, V) codes of queries: their own words and the OWN_AND_ALIGNED they point at most."""
        aligned = self.codes(rows, variant, OWN_AND_ALIGNED)
        named = [
            sorted({*aligned[[row]].indices.tolist(), *self._words(sentence)}) for row, sentence in enumerate(sentences)
        ]
        ends = np.cumsum([0, *map(len, named)])
        weights = np.concatenate([np.full(len(words), len(words) ** -0.5, np.float32) for words in named])
        return sparse.csr_array((weights, np.concatenate(named), ends), shape=(len(named), self._width))

    def _words(self, sentence: str) -> list[int]:
        """Return the ids of a sentence's tokens, with and without the leading space that most of the vocabulary has."""
        tokenizer = self._pair.tokenizer
        texts = (sentence, f" {sentence}")
        return [i for text in texts for i in tokenizer(text, add_special_tokens=False).input_ids]

    def describe(self, variant: str, number: int) -> Feature:
        """Return the token as text."""
        return Feature((str(self._pair.tokenizer.decode([number])).strip() or "␣",))

    @property
    def _width(self) -> int:
        return self._pair.vocabulary


class FeatureCoder:
    """Code a row by the k most active features of a fitted autoencoder."""

    def __init__(self, fitted: Mapping[str, FittedCodes], sha256: str) -> None:
        """Take every variant's codes, and the SHA-256 of their file, which names them."""
        self._fitted = fitted
        self.name = f"{FEATURES}-{sha256[:12]}"

    def codes(self, rows: Rows, variant: str, k: int) -> sparse.csr_array:
        """Return (N, H) codes of (N, D) unit rows with at most k features each."""
        coder = _of_variant(self._fitted, variant).coder
        found = [_kept(coder, part, k) for part in torch.from_numpy(rows).split(CODED_AT_ONCE)]
        values, places = (np.concatenate(column) for column in zip(*found, strict=True))
        return _unit_codes(values, places, len(coder.bias))

    def queries(self, sentences: Sequence[str], rows: Rows, variant: str, k: int) -> sparse.csr_array:
        """Return (N, H) codes of queries: those of texts with QUERY_WIDER times the features."""
        return self.codes(rows, variant, QUERY_WIDER * k)

    def describe(self, variant: str, number: int) -> Feature:
        """Return a learned feature."""
        return self._fitted[variant].features[number]


Coder = WordCoder | FeatureCoder
"""Turns unit rows of one variant into codes of unit length, and describes their features."""


class SparseEncoder:
    """Encode sentences as sparse codes: an encoder's rows, turned into codes by a coder."""

    def __init__(self, encoder: Encoder, coder: Coder, k: int = CodingConfig().k) -> None:
        """Keep at most k features of a code.

        Raises: InputError for k below 1.
        """
        if k < 1:
            raise InputError(f"k is {k}: a code needs at least 1 feature.")
        self.encoder, self.coder, self.k = encoder, coder, k

    @classmethod
    def open(cls, encoder: Encoder, kind: str, coders: Mapping[str, Coder] | None = None) -> Self:
        """Return the encoder for one kind of codes: those stored with the adapter, or those given.

        Raises: InputError for an unknown kind, or if the adapter has no codes; StorageError if they are damaged.
        """
        if kind not in CODE_KINDS:
            raise InputError(f"There are no codes of kind {kind!r}: choose {' or '.join(CODE_KINDS)}.")
        coders = load_coders(encoder.pair) if coders is None else coders
        if kind not in coders:
            named = f"The adapter {encoder.pair.adapter.name!r}" if encoder.pair.adapter else "The base alone"
            raise InputError(f"{named} has no sparse codes: fit them with `sempa sparse fit`.")
        return cls(encoder, coders[kind])

    def recipe(self, variant: str) -> EncoderConfig:
        """Return the complete recipe of one variant's codes."""
        return replace(self.encoder.recipe(variant), code=f"{self.coder.name}@{self.k}")

    def codes(self, rows: Rows, variant: str) -> sparse.csr_array:
        """Return (N, H) codes of (N, D) unit rows."""
        return self.coder.codes(rows, variant, self.k)

    def queries(self, sentences: Sequence[str], rows: Rows, variant: str) -> sparse.csr_array:
        """Return (N, H) codes of queries with these (N, D) unit rows."""
        return self.coder.queries(sentences, rows, variant, self.k)

    def add_to(self, index: SentenceIndex) -> None:
        """Code the vectors of an index, for every variant whose codes it lacks.

        Raises: RecipeMismatch if the index has no vectors of a variant.
        """
        for variant in self.encoder.variants:
            if (recipe := self.recipe(variant)) not in index.recipes:
                dense = self.encoder.recipe(variant)
                parts = [range(at, min(at + TAKEN_AT_ONCE, len(index))) for at in range(0, len(index), TAKEN_AT_ONCE)]
                codes = [self.codes(index.rows(dense, part), variant) for part in parts]
                index.add(recipe, sparse.vstack(codes, format="csr"))

    def encode(
        self, sentences: Sequence[str], variant: str | None = None, *, progress: Progress | None = None
    ) -> sparse.csr_array:
        """Return the codes of N sentences as (N, H) non-negative rows of unit length, in order.

        Raises: what `Encoder.encode` raises.
        """
        variant = variant or self.encoder.best_variant
        return self.codes(self.encoder.encode(sentences, variant, progress=progress), variant)


def fit_direction(rows: Rows) -> Rows:
    """Return the unit direction (D,) of the mean of (N, D) rows: what all rows share, mostly stop words."""
    mean = rows.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def save_coders(folder: Path, fitted: Mapping[str, FittedCodes], about: Mapping[str, Any]) -> None:
    """Write the codes of an adapter's variants into a new folder; `about` describes the fit.

    Raises: InputError if the folder exists; StorageError if the disk refuses.
    """
    tensors = {f"{v}.direction": torch.from_numpy(codes.direction) for v, codes in fitted.items()}
    tensors |= {f"{v}.{name}": part for v, codes in fitted.items() for name, part in codes.coder.tensors().items()}
    named = {variant: [asdict(feature) for feature in codes.features] for variant, codes in fitted.items()}
    with atomic_folder(folder, "The codes") as aside:
        (aside / CODER_FILE).write_bytes(save(tensors))
        (aside / ABOUT_FILE).write_text(json.dumps({**about, "features": named}, indent=1) + "\n", encoding="utf-8")
        write_checksums(aside, (CODER_FILE, ABOUT_FILE))


def open_coders(pair: ModelPair, folder: Path) -> dict[str, Coder]:
    """Return both kinds of codes from a folder of `save_coders`, by kind.

    Raises: StorageError if the folder is incomplete or damaged, or its codes are of another adapter.
    """
    require_unchanged(folder)
    try:
        about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
        with safe_open(folder / CODER_FILE, "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, ValueError) as error:
        raise StorageError(f"{folder} contains no readable codes ({error}): fit them again.") from error
    adapter = pair.adapter.sha256 if pair.adapter else None
    if about["adapter"] != adapter:
        raise StorageError(f"The codes in {folder} were fitted on another adapter: fit them again.")
    fitted = {}
    for variant, named in about["features"].items():
        start = f"{variant}."
        parts = {name.removeprefix(start): part for name, part in tensors.items() if name.startswith(start)}
        features = [Feature(tuple(known["words"]), tuple(known["texts"])) for known in named]
        fitted[variant] = FittedCodes(parts.pop("direction").numpy(), SparseCoder.of(parts), features)
    return {WORDS: WordCoder(pair, fitted), FEATURES: FeatureCoder(fitted, sha256_of(folder / CODER_FILE))}


def load_coders(pair: ModelPair) -> dict[str, Coder]:
    """Return the codes stored with a pair's adapter, by kind; empty if it has none.

    Raises: StorageError if they are damaged.
    """
    folder = codes_folder(pair)
    return open_coders(pair, folder) if folder else {}


def codes_folder(pair: ModelPair) -> Path | None:
    """Return the folder of the codes stored with a pair's adapter, None if it has none."""
    folder = pair.adapter.folder / CODES_FOLDER if pair.adapter else None
    return folder if folder and folder.is_dir() else None


@torch.no_grad()
def _kept(coder: SparseCoder, rows: Tensor, k: int) -> tuple[Rows, NDArray[np.int64]]:
    values, places = coder.activations(rows).topk(min(k, len(coder.bias)), dim=-1)
    return values.relu().numpy(), places.numpy()


def _unit_codes(values: Rows, places: NDArray[np.int64], width: int) -> sparse.csr_array:
    """Return (N, width) codes of unit length from (N, k) activations and their places; zeros are left out."""
    count, k = values.shape
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    codes = sparse.csr_array(
        (unit.ravel().astype(np.float32), places.ravel().astype(np.int32), np.arange(0, count * k + 1, k)),
        shape=(count, width),
    )
    codes.eliminate_zeros()
    codes.sort_indices()
    return codes


def _of_variant(fitted: Mapping[str, FittedCodes], variant: str) -> FittedCodes:
    if variant not in fitted:
        raise InputError(f"There are codes for {', '.join(fitted)}, not for {variant!r}.")
    return fitted[variant]
