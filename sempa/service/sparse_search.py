"""Search and comparison by sparse codes: what matches, and by how much, in words or learned features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import sparse

from sempa.config import CODE_KINDS
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import Hit, SentenceIndex
from sempa.embedding.ranking import RankedHit, hits_payload, search_each
from sempa.errors import InputError
from sempa.service.index_store import DEMO
from sempa.service.limits import require_k, require_text
from sempa.service.studio import Studio
from sempa.sparse.coders import Coder, SparseEncoder, add_codes, own_parts, shared_parts


@dataclass(frozen=True)
class Part:
    """Hold a feature's name, texts in which it is most active (none for a word), and its part of a score."""

    label: str
    texts: tuple[str, ...]
    size: float


@dataclass(frozen=True)
class CodedHit:
    """Hold a hit with its rank under the other model and the parts of its score, largest first."""

    ranked: RankedHit
    parts: list[Part]


@dataclass(frozen=True)
class CodedPair:
    """Hold the cosine of two codes, the parts they share, and what each has alone, with its activation."""

    cosine: float
    shared: list[Part]
    first: list[Part]
    second: list[Part]


def code_reader(encoder: Encoder, coders: Mapping[str, Coder], kind: str) -> SparseEncoder:
    """Return what reads sentences as one kind of the codes there are.

    Raises: InputError for an unknown kind, or where there are none.
    """
    if kind not in CODE_KINDS:
        raise InputError(f"There are no codes {kind!r}: choose {' or '.join(CODE_KINDS)}.")
    if kind not in coders:
        named = f"The adapter {encoder.pair.adapter.name!r}" if encoder.pair.adapter else "The base alone"
        raise InputError(f"{named} has no sparse codes: fit them with `python -m sempa sparse fit`.")
    return SparseEncoder(encoder, coders[kind])


class Coded:
    """Answer by one kind of sparse codes for a studio: "words" of the vocabulary or learned "features"."""

    def __init__(self, studio: Studio, kind: str) -> None:
        """Take the codes kept beside the studio's adapter.

        Raises: what `code_reader` raises.
        """
        self._studio = studio
        self._reader = code_reader(studio.encoder, studio.coders, kind)

    def search(self, query: str, index: str = DEMO, k: int = 5) -> dict[str, list[CodedHit]]:
        """Return each model's k best texts by codes, each with its rank under the other model and what matched.

        Raises: InputError for an empty query or k out of bounds; what `Studio.embed_index` raises.
        """
        require_text(query, "The query")
        require_k(k)
        opened = self._coded(index)
        rows = self._studio.embed_each([query])
        recipes = {variant: self._reader.recipe(variant) for variant in rows}
        codes = {v: self._reader.coder.queries([query], rows[v], v, self._reader.k) for v in rows}
        return {
            variant: [CodedHit(ranked, self._matched(opened, variant, codes[variant], ranked.hit)) for ranked in hits]
            for variant, hits in search_each(opened, recipes, codes, k).items()
        }

    def compare(self, first: str, second: str) -> dict[str, CodedPair]:
        """Return what two sentences' codes share under each model, and what they do not."""
        require_text(first, "The first sentence")
        require_text(second, "The second sentence")
        found = {}
        for variant, rows in self._studio.embed_each([first, second]).items():
            codes = self._reader.codes(rows, variant)
            a, b = codes[[0]], codes[[1]]
            shared = shared_parts(a, b)
            told = [self._parts(variant, parts) for parts in (shared, own_parts(a, b), own_parts(b, a))]
            found[variant] = CodedPair(sum(shared.values()), *told)
        return found

    def _coded(self, name: str) -> SentenceIndex:
        """Open an index and give it codes of the vectors it holds, in memory."""
        index = self._studio.embed_index(name)
        wanted = {self._reader.recipe(variant) for variant in self._studio.variants}
        if not wanted <= set(index.recipes):
            with index.adding():
                add_codes(index, self._reader)
        return index

    def _matched(self, index: SentenceIndex, variant: str, query: sparse.csr_array, hit: Hit) -> list[Part]:
        return self._parts(variant, index.shared(self._reader.recipe(variant), query, hit.id))

    def _parts(self, variant: str, sizes: Mapping[int, float]) -> list[Part]:
        coder = self._reader.coder
        return [
            Part(coder.label(variant, feature), coder.texts(variant, feature), size) for feature, size in sizes.items()
        ]


def found_payload(
    studio: Studio, query: str, index: str, k: int, codes: str | None
) -> dict[str, list[dict[str, object]]]:
    """Return a search's answer as JSON types: by dense vectors, or by sparse codes of a kind.

    Raises: what the search raises.
    """
    if codes:
        return _coded_payload(Coded(studio, codes).search(query, index, k))
    return hits_payload(studio.search(query, index, k))


def _coded_payload(found: Mapping[str, Sequence[CodedHit]]) -> dict[str, list[dict[str, object]]]:
    """Return hits as for dense vectors, with `matched`, the parts of each score."""
    payload = hits_payload({variant: [coded.ranked for coded in hits] for variant, hits in found.items()})
    for variant, hits in found.items():
        for told, coded in zip(payload[variant], hits, strict=True):
            told["matched"] = [{"feature": part.label, "part": part.size} for part in coded.parts]
    return payload
