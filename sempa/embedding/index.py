"""Search a corpus by meaning, with the vectors of several models over the same texts."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sempa.config import INSTALLED, RECIPE_FILE, SCHEMA_VERSION, SHIPPED, EncoderConfig, Recipe
from sempa.data.corpora import Corpus, read_corpus, write_corpus
from sempa.embedding.inverted import Codes
from sempa.embedding.vectors import Approximation, Vectors
from sempa.errors import InputError, RecipeMismatch, StorageError
from sempa.files import atomic_folder, require_unchanged, write_checksums

Rows = NDArray[np.float32]
Query: TypeAlias = Rows | sparse.csr_array
"""Queries of one model: (Q, D) unit rows, or (Q, H) sparse codes."""
INDEX_ROOT = Path("index") if INSTALLED else SHIPPED / "index"
"""The folder of indexes: index/ of the checkout, or of the current folder if the package is installed."""
TEXTS = "texts.csv"
RANKED = 1_000
"""How far down an approximate search looks for a text's rank."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Hit:
    """Hold a text that was found: its id, text, cosine, rank from 1, and tags."""

    id: int
    text: str
    cosine: float
    rank: int
    tags: Mapping[str, str]


class _ByRecipe(dict[EncoderConfig, Vectors | Codes]):
    """Hold vectors by recipe; a missing recipe is an error that names the fields that differ."""

    def __missing__(self, recipe: EncoderConfig) -> Vectors | Codes:
        if not self:
            raise RecipeMismatch("The index holds texts but no vectors yet: build it first.")
        nearest = min(list(self), key=lambda known: len(known.differences(recipe)))
        nearest.require_same(recipe, mine="The index", theirs="the model", cure="Build the index with this model.")
        raise KeyError(recipe)


class SentenceIndex:
    """Hold N texts and, for each model that embedded them, their vectors over the same ids."""

    def __init__(self, corpus: Corpus) -> None:
        if not corpus.texts:
            raise InputError("An index needs at least one text.")
        self.corpus = corpus
        self.vectors = _ByRecipe()
        """Each model's vectors, by recipe."""
        self._adding = threading.Lock()

    def __len__(self) -> int:
        return len(self.corpus.texts)

    @property
    def recipes(self) -> list[EncoderConfig]:
        """Return the recipes of the vectors."""
        return list(self.vectors)

    @contextmanager
    def adding(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Lock the index while vectors are computed for it, so that two visitors do not embed the same texts.

        `waiting` is called every second until the index is free.
        """
        while not self._adding.acquire(timeout=1):
            waiting()
        try:
            yield
        finally:
            self._adding.release()

    def add(self, recipe: EncoderConfig, rows: Rows | sparse.csr_array) -> None:
        """Add the vectors of one model, in the order of the texts: (N, D) unit float32 rows, or sparse codes.

        More than EXACT_UP_TO dense vectors are searched approximately: see `approximation`.
        Raises: InputError if the number of rows is wrong or they are not of unit length.
        """
        if rows.shape[0] != len(self):
            raise InputError(f"The index holds {len(self)} texts, but {rows.shape[0]} vectors were given.")
        self.vectors[recipe] = Codes.of(rows) if sparse.issparse(rows) else Vectors.of(rows)

    def rows(self, recipe: EncoderConfig, ids: Sequence[int] | None = None) -> Rows:
        """Return the dense vectors of all texts or of `ids`, (N, D), as they are held.

        Raises: RecipeMismatch if the index has none of this recipe.
        """
        held: Any = self.vectors[recipe]
        return held.rows(np.arange(len(self)) if ids is None else np.asarray(ids, dtype=np.int64))

    def shared(self, recipe: EncoderConfig, query: sparse.csr_array, number: int) -> dict[int, float]:
        """Return the features shared by a query's code and a text's, each with its part of the score, largest first."""
        held: Any = self.vectors[recipe]
        return held.shared(query, number)

    def approximation(self, recipe: EncoderConfig) -> Approximation | None:
        """Return how a model's vectors are searched approximately, None if the search is exact."""
        return self.vectors[recipe].approximation

    def search(self, recipe: EncoderConfig, queries: Query, k: int) -> list[list[Hit]]:
        """Return, for each of (Q, D) unit query rows or codes, its min(k, N) nearest texts, best first; ties by id.

        Raises: RecipeMismatch if the index has no vectors of this recipe; InputError for k below 1.
        """
        if k < 1:
            raise InputError(f"k is {k}: ask for at least 1 hit.")
        texts, tags, found = self.corpus.texts, self.corpus.tags, []
        for cosines, ids in zip(*self.vectors[recipe].nearest(queries, k), strict=True):
            order = np.lexsort((ids, -cosines))  # faiss leaves texts of equal cosine in any order
            best = [(int(ids[at]), float(cosines[at])) for at in order if ids[at] >= 0]  # -1: fewer found than asked
            found.append([Hit(i, texts[i], cosine, rank, tags[i]) for rank, (i, cosine) in enumerate(best, start=1)])
        return found

    def ranks(self, recipe: EncoderConfig, query: Query, ids: Sequence[int]) -> list[int | None]:
        """Return the rank (from 1) that each of `ids` has for one query, a (1, D) row or (1, H) code, under a recipe.

        In an approximate search, None for a text that is not among the first RANKED.
        """
        if self.approximation(recipe):
            place = {hit.id: hit.rank for hit in self.search(recipe, query, RANKED)[0]}
            return [place.get(i) for i in ids]
        cosines = self.vectors[recipe].cosines(query)
        return [
            1 + int((cosines > cosines[i]).sum()) + int((cosines[:i] == cosines[i]).sum())  # ties by id
            for i in ids
        ]

    def pair_cosines(self, recipe: EncoderConfig, pairs: int = 20_000, seed: int = 0) -> Rows:
        """Return the cosines of random pairs of different texts, ascending."""
        generator = np.random.default_rng(seed)
        vectors = self.vectors[recipe]
        first = generator.integers(0, len(self), pairs)
        second = (first + generator.integers(1, max(2, len(self)), pairs)) % len(self)
        return np.sort(vectors.pair_cosines(first, second))

    def save(self, folder: Path) -> None:
        """Write texts, vectors and recipes to a folder, atomically; an older index there is replaced.

        Raises: StorageError if the disk refuses; the old folder is then unchanged.
        """
        with atomic_folder(folder, "The index", "what was there is unchanged", replace=True) as made:
            write_corpus(self.corpus, made / TEXTS)
            parts: list[dict[str, object]] = []
            for recipe, vectors in self.vectors.items():
                name = f"{recipe.adapter[:12] if recipe.adapter else 'base'}-{recipe.template[:12]}"
                file = re.sub(r"[^a-z0-9-]", "_", name.lower()) + f"-{len(parts)}{vectors.suffix}"
                # faiss's own writer does not notice a disk that fills up with the last bytes.
                (made / file).write_bytes(vectors.serialised())
                parts.append({"file": file, "encoder": asdict(recipe), **vectors.how})
            payload = {"schema_version": SCHEMA_VERSION, "vectors": parts}
            (made / RECIPE_FILE).write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")
            write_checksums(made, [file.name for file in made.iterdir()])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open an index folder written by `save`; a folder with texts alone opens without vectors.

        Raises: StorageError if the folder is missing, damaged or of another schema version.
        """
        if not (folder / TEXTS).is_file():
            raise StorageError(f"{folder} is not an index: it has no {TEXTS}.")
        require_unchanged(folder)
        index = cls(read_corpus(folder / TEXTS))
        if not (folder / RECIPE_FILE).is_file():
            return index
        try:
            payload = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
            for entry in payload["vectors"]:
                part = {"schema_version": payload["schema_version"], "encoder": entry["encoder"]}
                recipe = Recipe.from_dict(part, str(folder / RECIPE_FILE)).encoder
                path = folder / Path(entry["file"]).name
                kind = Codes if path.suffix == Codes.suffix else Vectors
                index.vectors[recipe] = vectors = kind.read(path, entry)
                if len(vectors) != len(index):
                    raise ValueError(f"{len(index)} texts, {len(vectors)} vectors")
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise StorageError(f"{folder} is damaged ({reason}): build the index again.") from error
        return index


def index_names(root: Path = INDEX_ROOT) -> list[str]:
    """Return the names of the indexes in a folder, the demo first; INDEX_ROOT always has the shipped ones."""
    names = {path.parent.name for where in _roots(root) for path in where.glob(f"*/{TEXTS}")}
    return sorted(filter(_NAME.fullmatch, names), key=lambda name: (name != "demo", name))


def index_folder(name: str, root: Path = INDEX_ROOT) -> Path:
    """Return the folder that a named index is written to.

    Raises: InputError for a name that is not plain lower-case letters, digits, '-' and '_'.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a valid index name: use up to 64 lower-case letters, digits, '-' and '_'.")
    return root / name


def find_index(name: str, root: Path = INDEX_ROOT) -> Path:
    """Return the folder that a named index is read from: its own, or that of a shipped index.

    Raises: what `index_folder` raises.
    """
    folders = [index_folder(name, root=where) for where in _roots(root)]
    return next((folder for folder in folders if folder.exists()), folders[0])


def _roots(root: Path) -> list[Path]:
    return [root, SHIPPED / "index"] if root == INDEX_ROOT else [root]
