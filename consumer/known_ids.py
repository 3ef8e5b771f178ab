"""Ids known to be in a table: rows are never deleted, so what was seen once need not be asked for again."""

from collections.abc import Iterable
from itertools import islice


class KnownIds:
    """A bounded set; the oldest go first. It must be cleared whenever the database may have gone back in time."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._ids: dict[str, None] = {}

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that are not known."""
        return [candidate for candidate in ids if candidate not in self._ids]

    def add(self, ids: Iterable[str]) -> None:
        """Remember ids that a committed transaction saw or wrote."""
        self._ids.update(dict.fromkeys(ids))
        for oldest in list(islice(self._ids, max(0, len(self._ids) - self._limit))):
            del self._ids[oldest]

    def clear(self) -> None:
        """Forget all."""
        self._ids.clear()
