"""Which name conflicts depend on each other, and so must be redriven together. Pure.

Example: bob waits for a name that alice has, and alice's own letter gives her another one. Two letters are tied if they
are about one user, or about users who have or will have the same name. Letters that are not tied, directly or through
others, can be redriven separately.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reelsync.consumer.transform.projections import targets_of
from reelsync.events import WireEvent

from .table import LetterKey

_NAMES = ("username", "email")
Tie = tuple[str, str]
"""What letters can have in common: `user` and an id, `username` and a name, `email` and an address."""


class Claim(NamedTuple):
    """A letter, and what ties it to others. A letter that holds no event has no ties."""

    letter: LetterKey
    ties: tuple[Tie, ...] = ()


def account_of(event: WireEvent) -> dict[str, object] | None:
    """The account that the event gives its user, if it does."""
    for target in targets_of(event):
        for facet, fill in target.facets:
            if facet == "account":
                account: dict[str, object] = {}
                fill(account, event)
                return account
    return None


def ties_of(event: WireEvent, held: Mapping[str, object]) -> tuple[Tie, ...]:
    """What ties an event of a user to others. `held`: the names that the user has now."""
    wanted = account_of(event) or {}
    names = {(name, str(value)) for names in (held, wanted) for name in _NAMES if (value := names.get(name))}
    return (("user", event["data"]["user_id"]), *sorted(names))


def parts_of(claims: Iterable[Claim], at_once: int) -> Iterator[list[LetterKey]]:
    """All letters, tied ones in one part: `at_once` or fewer in each, unless more than that are tied together."""
    part: list[LetterKey] = []
    for group in _groups(list(claims)):
        if part and len(part) + len(group) > at_once:
            yield part
            part = []
        part = part + group if part else group
    if part:
        yield part


def _groups(claims: list[Claim]) -> Iterable[list[LetterKey]]:
    """The connected components: union-find with path halving, over ties."""
    parents: dict[Tie, Tie] = {}

    def root(tie: Tie) -> Tie:
        parents.setdefault(tie, tie)
        while parents[tie] != tie:
            parents[tie] = parents[parents[tie]]
            tie = parents[tie]
        return tie

    for _, ties in claims:
        for tie in ties[1:]:
            parents[root(tie)] = root(ties[0])
    groups: dict[Tie | LetterKey, list[LetterKey]] = {}
    for letter, ties in claims:
        groups.setdefault(root(ties[0]) if ties else letter, []).append(letter)
    return groups.values()
