"""Ids known to be in a table. An id that was seen once need not be looked up again.

Only the rows of erased people are deleted, and no batch refers to them afterwards.
"""

from collections.abc import Iterable


class KnownIds:
    """A bounded set of ids, without those that were not added for long.

    Clear it whenever the database may have lost transactions. It has two generations: when the young one is full it
    becomes the old one, and the old one is dropped, which costs less than to look for the oldest ids. The latest
    `generation` ids are always known; about twice as many are held, 150 bytes each.
    """

    def __init__(self, generation: int = 20_000) -> None:
        self._generation = generation
        self._young: set[str] = set()
        self._old: set[str] = set()

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` that are not known."""
        return [candidate for candidate in ids if candidate not in self._young and candidate not in self._old]

    def add(self, ids: Iterable[str]) -> None:
        """Remember ids that a committed transaction saw or wrote."""
        self._young.update(ids)
        if len(self._young) >= self._generation:
            self._young, self._old = set(), self._young

    def clear(self) -> None:
        """Forget all."""
        self._young.clear()
        self._old.clear()
