"""Which events of a batch would give two live users the same name, found without trying each of them. Pure.

The database refuses a statement after which two live users have the same username or email, but does not say which
events are to blame. A flood of such events would take an attempt for each. So their verdicts are calculated here, from
the names that users have.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reelsync.events import WireEvent

from .projections import Columns, targets_of

_NAMES = ("username", "email")
Name = tuple[str, str]
"""A column and its value."""


class User(NamedTuple):
    """The part of a user that decides whether the user has names. A user without a row has versions of 0."""

    account_version: int = 0
    username: str | None = None
    email: str | None = None
    deletion_version: int = 0
    is_live: bool = True

    @property
    def names(self) -> list[Name]:
        """The names that no other live user may have."""
        if not self.is_live:
            return []
        return [(column, name) for column in _NAMES if (name := getattr(self, column)) is not None]


class Claim(NamedTuple):
    """The part of an event that changes it. None is a facet that the event does not set."""

    user_id: str
    version: int
    account: tuple[str | None, str | None] | None
    is_live: bool | None

    def merged_into(self, user: User) -> User:
        """The user after the event: in each facet the higher version wins."""
        if self.account is not None and self.version > user.account_version:
            username, email = self.account
            user = user._replace(account_version=self.version, username=username, email=email)
        if self.is_live is not None and self.version > user.deletion_version:
            user = user._replace(deletion_version=self.version, is_live=self.is_live)
        return user


def claim_of(event: WireEvent) -> Claim | None:
    """The claim of an event on a user's names; None if it makes none."""
    columns: Columns = {}
    facets = set()
    for target in targets_of(event):
        if target.table == "users":
            for facet, fill in target.facets:
                if facet in {"account", "deletion"}:
                    facets.add(facet)
                    fill(columns, event)
    if not facets:
        return None
    data = event["data"]
    account = (columns.get("username"), columns.get("email")) if "account" in facets else None
    is_live = columns.get("deleted_at") is None if "deletion" in facets else None
    return Claim(data["user_id"], data["version"], account, is_live)


class ClaimedNames:
    """The users that claims are about, and the owners of the claimed names, while claims are merged."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = dict(users)
        self._holders: dict[Name, str] = {name: key for key, user in users.items() for name in user.names}

    def merge(self, claims: Iterable[Claim]) -> str | None:
        """Merge claims as one statement does; returns the column that would refuse them. Then nothing changes."""
        changed: dict[str, User] = {}
        for claim in claims:
            before = changed.get(claim.user_id) or self._users.get(claim.user_id) or User()
            changed[claim.user_id] = claim.merged_into(before)
        taken: dict[Name, str] = {}
        for user_id, user in changed.items():
            for name in user.names:
                holder = self._holders.get(name, user_id)
                if taken.setdefault(name, user_id) != user_id or (holder != user_id and holder not in changed):
                    return name[0]
        for user_id in changed:
            for name in self._users.get(user_id, User()).names:
                self._holders.pop(name, None)
        self._holders |= taken
        self._users |= changed
        return None


def find_refused(names: ClaimedNames, claims: Sequence[Claim | None], *, singly: bool = False) -> dict[int, str]:
    """The indexes of the refused claims, with the columns that refuse them.

    Claims are tried by halves, as events are on the database, so users who swap names in one batch do not refuse each
    other; or one by one.
    """
    refused: dict[int, str] = {}
    waiting = [(place, place + 1) for place in reversed(range(len(claims)))] if singly else [(0, len(claims))]
    while waiting:
        begin, end = waiting.pop()
        column = names.merge(claim for claim in claims[begin:end] if claim)
        if column is None:
            continue
        if end - begin == 1:
            refused[begin] = column
        else:
            middle = begin + (end - begin) // 2
            waiting += [(middle, end), (begin, middle)]
    return refused


def asked_for(claims: Iterable[Claim | None]) -> dict[str, list[Any]]:
    """The ids and the names that must be looked up, sorted."""
    made = [claim for claim in claims if claim]
    accounts = [claim.account for claim in made if claim.account]
    return {
        "ids": sorted({claim.user_id for claim in made}),
        "usernames": sorted({username for username, _ in accounts if username is not None}),
        "emails": sorted({email for _, email in accounts if email is not None}),
    }
