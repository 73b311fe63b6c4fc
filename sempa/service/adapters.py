"""Serve several adapters of one base model, chosen by name."""

from collections.abc import Sequence
from pathlib import Path

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.service.embedding_cache import EmbeddingCache
from sempa.service.index_store import IndexStore
from sempa.service.studio import RESULTS_ROOT, Studio
from sempa.sparse.coders import codes_folder


class Adapters:
    """Hold one studio per adapter of a base model; all share indexes and cached vectors."""

    def __init__(
        self, encoders: Sequence[Encoder], indexes: IndexStore | None = None, results_root: Path = RESULTS_ROOT
    ) -> None:
        self.indexes = indexes or IndexStore()
        self._results_root, self._cache = results_root, EmbeddingCache()
        loaded = [self._studio(encoder) for encoder in encoders]
        names = [studio.adapter for studio in loaded]
        self._by_name: dict[str, Studio] = {}
        for studio, name in zip(loaded, names, strict=True):
            source = studio.pair.adapter.source if studio.pair.adapter else ""
            self._by_name[source if names.count(name) > 1 else name] = studio

    def _studio(self, encoder: Encoder) -> Studio:
        return Studio(encoder, self.indexes, self._results_root, self._cache)

    def add(self, adapter: str) -> str:
        """Load another adapter for all visitors and return its name.

        Raises: InputError if there is no adapter yet or the name is taken; what `ModelPair.with_adapter` raises.
        """
        first = self.choose()
        if not first.adapter:
            base = first.pair.info.name
            raise InputError(
                f"The app was started without an adapter: restart it with --base {base} --adapter {adapter}."
            )
        name = Path(adapter).name
        if name in self._by_name:
            raise InputError(f"An adapter named {name!r} already exists.")
        self._by_name[name] = self._studio(Encoder(first.pair.with_adapter(adapter)))
        return name

    @property
    def names(self) -> list[str]:
        """Return the adapters' names in load order; one empty name for a base without adapters."""
        return list(self._by_name)

    @property
    def coded(self) -> bool:
        """Whether any adapter has sparse codes."""
        return any(codes_folder(studio.pair) for studio in self._by_name.values())

    def choose(self, adapter: str = "") -> Studio:
        """Return the studio of an adapter (default: the first).

        Raises: InputError for an unknown name.
        """
        if not isinstance(adapter, str):  # from an endpoint
            raise InputError(f"adapter is {type(adapter).__name__}, not a name.")
        if (studio := self._by_name.get(adapter or self.names[0])) is None:
            raise InputError(f"There is no adapter {adapter!r}: choose one of {', '.join(self.names)}.")
        return studio
