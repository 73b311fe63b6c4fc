"""A sample of items without chance: every n-th."""

from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def thinned(items: Sequence[_Item], limit: int | None) -> Sequence[_Item]:
    """Return every n-th item, so that at most `limit` are left; all of them without a limit."""
    return items[:: max(1, -(-len(items) // limit))] if limit else items
