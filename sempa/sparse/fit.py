"""Fit sparse codes to triplets: embed them with both models, fit an autoencoder to each, name its features."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch.nn.functional import normalize as unit

from sempa.data.rows import subsample
from sempa.data.triplets import read_triplets
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.evaluation.metrics import nearer_share
from sempa.evaluation.result_cache import cached_rows
from sempa.files import sha256_of
from sempa.losses import reconstruction_loss
from sempa.machine import environment
from sempa.sparse.autoencoder import SparseCoder, largest
from sempa.sparse.coders import Feature, FittedCodes, fit_direction, save_coders
from sempa.sparse.loss import fit_coder
from sempa.sparse.settings import CODES_FOLDER, CodingConfig

Rows = NDArray[np.float32]
WORDS_PER_FEATURE, TEXTS_PER_FEATURE = 3, 3
RAREST = 1 / 500
"""Minimum frequency of a word in comparisons: otherwise words of a single text would name features."""
HELD_OUT = 20
"""One triplet in this many is held out and measured."""


def fit_codes(
    encoder: Encoder,
    data: Path,
    config: CodingConfig,
    limit: int | None = None,
    output: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fit codes for every variant on about `limit` triplets and write them; return each variant's figures.

    `output` is by default the folder beside the adapter's weights that the app looks into. Embeddings are kept in the
    cache folder, so that fitting again with other settings takes minutes.
    Raises: InputError without an adapter, for an output that exists or too few triplets; StorageError.
    """
    if encoder.pair.adapter is None:
        raise InputError("Codes belong to an adapter: name one with --adapter.")
    output = output or encoder.pair.adapter.folder / CODES_FOLDER
    if output.exists():
        raise InputError(f"{output} exists already: choose another folder or remove it.")
    triplets = subsample(read_triplets(data)[0], limit)
    texts = [text for triplet in triplets for text in (triplet.anchor, triplet.entailment, triplet.contradiction)]
    fitted = {variant: _fitted(encoder, variant, texts, config, report) for variant in encoder.variants}
    measured = {variant: figures for variant, (_, figures) in fitted.items()}
    about = {
        "adapter": encoder.pair.adapter.sha256,
        "config": asdict(config),
        "fitted_on": f"{len(triplets):,} triplets of {data.name} (SHA-256 {sha256_of(data)})",
        "measured": measured,
        **environment(),
    }
    save_coders(output, {variant: codes for variant, (codes, _) in fitted.items()}, about)
    return measured


def _fitted(
    encoder: Encoder,
    variant: str,
    texts: Sequence[str],
    config: CodingConfig,
    report: Callable[[str], None],
) -> tuple[FittedCodes, dict[str, float]]:
    """Return one variant's codes and their figures; `texts` are those of the triplets, three by three."""
    rows = torch.from_numpy(cached_rows(encoder, variant, texts, report)).view(-1, 3, encoder.width)
    anchors = texts[::3]
    held = torch.arange(len(rows)) % HELD_OUT == 0
    coder = SparseCoder(encoder.width, config.expansion_factor * encoder.width, config.seed)
    coder.begin_at(rows[~held].flatten(0, 1))
    kept = [anchor for anchor, out in zip(anchors, held.tolist(), strict=True) if not out]
    for step in fit_coder(rows[~held], kept, config, coder):
        if (step.step + 1) % 50 == 0 or step.step + 1 == step.steps:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in step.metrics.items())
            report(f"{variant}: step {step.step + 1} of {step.steps}: {shown}")
    coder.requires_grad_(False)
    codes = torch.cat([largest(coder.activations(part), config.k) for part in rows.flatten(0, 1).split(4096)])
    measured = _measured(coder, rows, codes.view(*rows.shape[:2], -1), held)
    features = name_features(sparse.csr_array(codes.numpy()), texts)
    return FittedCodes(fit_direction(rows.flatten(0, 1).numpy()), coder, features), measured


def _measured(coder: SparseCoder, rows: torch.Tensor, codes: torch.Tensor, held: torch.Tensor) -> dict[str, float]:
    """Measure reconstruction and ranking on the held-out triplets, and count the dead features of all."""
    reconstructed = coder.decode(codes[held])
    figures = {
        "explained_variance": 1 - float(reconstruction_loss(rows[held].flatten(0, 1), reconstructed.flatten(0, 1)))
    }
    for name, values in (("codes", codes[held]), ("dense", rows[held])):
        figures[f"entailment_nearer_{name}"] = nearer_share(*(part.numpy() for part in unit(values, dim=-1).unbind(1)))
    figures["dead_features"] = float((codes.flatten(0, 1) == 0).all(dim=0).sum())
    return {name: round(value, 4) for name, value in figures.items()}


def name_features(codes: sparse.csr_array, texts: Sequence[str]) -> list[Feature]:
    """Describe each feature of N texts' (N, H) codes by typical words and the texts in which it is most active.

    A word is typical by its standard score: how much more often it is in a feature's texts than by chance.
    """
    words, held = _words_of(texts)
    usual = np.maximum(np.asarray(held.mean(axis=0)).ravel(), RAREST)
    spread = np.sqrt(usual * (1 - np.minimum(usual, 1 - RAREST)))
    mass = (codes.T @ held).tocsr()
    totals = np.maximum(np.asarray(codes.sum(axis=0)).ravel(), 1e-12)
    columns = codes.tocsc()
    features = []
    for feature in range(codes.shape[1]):
        row = mass[[feature]]
        telling = (row.data / totals[feature] - usual[row.indices]) / spread[row.indices]
        best = [row.indices[i] for i in np.argsort(-telling, kind="stable")[:WORDS_PER_FEATURE] if telling[i] > 0]
        start, end = columns.indptr[feature : feature + 2]
        places = columns.indices[start:end][np.argsort(-columns.data[start:end], kind="stable")]
        features.append(Feature(tuple(words[i] for i in best), _different([texts[i] for i in places])))
    return features


def _words_of(texts: Sequence[str]) -> tuple[list[str], sparse.csr_array]:
    """Return the words of the texts, lower-cased, and which text has which, (N, W)."""
    found = [sorted(set(re.findall(r"[^\W\d_]{2,}", text.lower()))) for text in texts]
    places = {word: place for place, word in enumerate(sorted({word for words in found for word in words}))}
    ends = np.cumsum([0, *map(len, found)])
    columns = np.array([places[word] for words in found for word in words], dtype=np.int32)
    return list(places), sparse.csr_array(
        (np.ones(len(columns), np.float32), columns, ends), shape=(len(texts), len(places))
    )


def _different(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the first TEXTS_PER_FEATURE texts that differ in more than case."""
    kept: dict[str, str] = {}
    for text in texts:
        kept.setdefault(text.casefold(), text)
    return tuple(kept.values())[:TEXTS_PER_FEATURE]
