"""Several adapters on one base: a studio for each, chosen by name."""

from collections.abc import Sequence
from pathlib import Path

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.service.index_store import Shelf
from sempa.service.studio import RESULTS_ROOT, Studio
from sempa.sparse.coders import codes_folder


class Adapters:
    """Hold one studio for each adapter of a base model, on one shelf: a visitor chooses by name."""

    def __init__(
        self, encoders: Sequence[Encoder], shelf: Shelf | None = None, results_root: Path = RESULTS_ROOT
    ) -> None:
        self._shelf, self._results_root = shelf or Shelf(), results_root
        made = [self._studio(encoder) for encoder in encoders]
        self._by_name: dict[str, Studio] = {}
        for studio in made:
            twin = any(other is not studio and other.adapter == studio.adapter for other in made)
            source = studio.pair.adapter.source if studio.pair.adapter else ""
            self._by_name[source if twin else studio.adapter] = studio

    def _studio(self, encoder: Encoder) -> Studio:
        return Studio(encoder, self._shelf, self._results_root)

    def add(self, adapter: str) -> str:
        """Load one more adapter onto the base for every visitor and return its name.

        Raises: InputError where the base stands alone, or another adapter has that name; else what
        `ModelPair.with_adapter` raises.
        """
        first = self.choose()
        if not first.adapter:
            raise InputError(f"The base stands alone here: start the app again with --adapter {adapter}.")
        name = Path(adapter).name
        if name in self._by_name:
            raise InputError(f"There is an adapter {name!r} already.")
        self._by_name[name] = self._studio(Encoder(first.pair.with_adapter(adapter)))
        return name

    @property
    def names(self) -> list[str]:
        """Return the adapters' names in the order given; one empty name where the base stands alone."""
        return list(self._by_name)

    @property
    def coded(self) -> bool:
        """Whether an adapter here has sparse codes."""
        return any(codes_folder(studio.pair) for studio in self._by_name.values())

    def choose(self, adapter: str = "") -> Studio:
        """Return the studio of one adapter, of the first if none is named.

        Raises: InputError for a name that is not there.
        """
        if (studio := self._by_name.get(adapter or self.names[0])) is None:
            raise InputError(f"There is no adapter {adapter!r} here: choose one of {', '.join(self.names)}.")
        return studio
