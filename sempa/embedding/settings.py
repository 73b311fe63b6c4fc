"""Embedding settings as a folder: template, layer, pooling and, if fitted, post-processing statistics."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sempa.config import RECIPE_FILE, EncoderConfig, Recipe
from sempa.embedding.encoder import Encoder
from sempa.embedding.postprocess import FILE, Postprocess
from sempa.files import atomic_folder, require_unchanged, write_checksums
from sempa.models.pair import ModelPair


def fit_settings(
    pair: ModelPair,
    config: EncoderConfig,
    kind: str,
    texts: Sequence[str],
    fitted_on: str,
    directions: int = 3,
) -> Encoder:
    """Return an encoder with post-processing fitted, for each model, to its own states of the texts.

    `kind` and `directions` as for `Postprocess.fit`; `fitted_on` names the texts in words.
    Raises: InputError for an unknown kind, an unusable text, or too few texts for whitening.
    """
    plain = Encoder(pair, replace(config, postprocess=None))
    rows = {variant: plain.states(texts, variant) for variant in pair.variants}
    return Encoder(pair, plain.config, Postprocess.fit(kind, rows, fitted_on, directions))


def save_settings(encoder: Encoder, folder: Path) -> None:
    """Write an encoder's recipe and statistics into a new folder.

    Raises: InputError if the folder exists; StorageError if the disk refuses.
    """
    with atomic_folder(folder, "The settings") as aside:
        Recipe(encoder.recipe(encoder.best_variant)).save(aside)
        if encoder.postprocess:
            encoder.postprocess.save(aside)
        write_checksums(aside, [RECIPE_FILE, FILE] if encoder.postprocess else [RECIPE_FILE])


def open_settings(pair: ModelPair, folder: Path) -> Encoder:
    """Return an encoder over a pair with the settings that `save_settings` wrote.

    Raises: StorageError if the folder is incomplete or damaged; RecipeMismatch if its statistics were fitted to another
    base or adapter; InputError if the model has no such layer.
    """
    require_unchanged(folder)
    known = Recipe.load(folder).encoder
    statistics = Postprocess.load(folder, known.postprocess) if known.postprocess else None
    encoder = Encoder(pair, known, statistics)
    if statistics:
        encoder.recipe(encoder.best_variant).require_same(
            known, mine="This model", theirs="the settings", cure="Run `sempa fit` again for this base and adapter."
        )
    return encoder
