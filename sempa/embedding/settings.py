"""A reading kept as a folder: template, layer, pooling and, where there are any, statistics with their text's name."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sempa.config import EncoderConfig, Recipe
from sempa.embedding.encoder import Encoder
from sempa.embedding.postprocess import Postprocess, Rows
from sempa.files import atomic_folder
from sempa.models.pair import ModelPair


def fit_settings(
    pair: ModelPair,
    config: EncoderConfig,
    kind: str,
    texts: Sequence[str],
    fitted_on: str,
    directions: int = 3,
    read: Callable[[Encoder, Sequence[str], str], Rows] = Encoder.states,
) -> Encoder:
    """Return an encoder whose post-processing is fitted, for each variant, on its own states of the texts.

    `kind` and `directions` as for `Postprocess.fit`; `fitted_on` names the texts in words. `read` gives the (N, D)
    states of a variant where they are at hand.
    Raises: InputError for an unknown kind, an unusable text, or too few texts for whitening.
    """
    plain = Encoder(pair, replace(config, postprocess=None))
    rows = {variant: read(plain, texts, variant) for variant in pair.variants}
    return Encoder(pair, plain.config, Postprocess.fit(kind, rows, fitted_on, directions))


def save_settings(encoder: Encoder, folder: Path) -> None:
    """Write an encoder's recipe and statistics into a new folder.

    Raises: InputError if the folder exists; StorageError if the disk refuses.
    """
    with atomic_folder(folder, "The reading") as aside:
        Recipe(encoder.recipe(encoder.best_variant)).save(aside)
        if encoder.postprocess:
            encoder.postprocess.save(aside)


def open_settings(pair: ModelPair, folder: Path) -> Encoder:
    """Return the encoder that a folder of `save_settings` describes, over a pair.

    Raises: StorageError if the folder is incomplete; RecipeMismatch if its statistics were fitted on another base model
    or adapter; InputError if the model has no such layer.
    """
    known = Recipe.load(folder).encoder
    if known.postprocess is None:
        return Encoder(pair, known)
    encoder = Encoder(pair, known, Postprocess.load(folder, known.postprocess))
    encoder.recipe(encoder.best_variant).require_same(
        known, mine="This model", theirs="the reading", cure="Fit the reading anew for this base and adapter."
    )
    return encoder
