"""Making the statements of a batch from a fold: one for each table, rows sorted by key, tables in foreign-key order.

Pure. One sorted statement for each table keeps concurrent writers from deadlocks; two statements for one table would
not.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import orjson

from reelsync.events import ERASED_VERSION
from reelsync.models.facets import FORMER_OWNERS, Merge, version_column

from .erased_people import ERASED_TIME, OWNER_ERASED
from .fold import Fold, Row
from .projections import MERGES

TableName = Literal["users", "user_profiles", "videos", "model_usage", "video_states"]

_ROWS_AT_ONCE = 256
_BYTES_AT_ONCE = 131_072
"""The limits of what is encoded at once, about 1 ms: whichever is reached first."""


class Statement(NamedTuple):
    """The rows of one table, as the JSON array that its statement takes."""

    table: TableName
    rows: str
    row_count: int


class Missing(NamedTuple):
    """The ids that a plan refers to and that the database does not have."""

    users: Collection[str]
    videos: Collection[str]


class Plan:
    """The encoded rows of a fold: all statements of a batch but for placeholders.

    Only the database knows which placeholders are needed. So the rows are encoded before it is asked, while it writes
    the batch before. They are taken out of the fold, which is empty in the end.
    """

    def __init__(self, fold: Fold) -> None:
        self.rows: dict[TableName, dict[str, bytes]] = {
            "users": {},
            "user_profiles": {},
            "videos": {},
            "model_usage": {},
            "video_states": {},
        }
        """By key, the members of the row's JSON object."""
        self.user_references = fold.user_references
        self.video_references = fold.video_references
        self.user_ids = [*{**fold.user_references, **fold.rows["users"]}]
        """Ids of all users of whom any event says anything."""
        self.erased_people = fold.erased_people
        self.conflicts = fold.conflicts
        self.earliest = fold.earliest
        """The earliest time of all events; None if there are none."""
        self.erased = [
            key
            for table in ("users", "videos")
            for key, row in fold.rows[table].items()
            if row.version >= ERASED_VERSION
        ]
        """Ids of users and videos that are erased."""
        # Made without a reference to the plan: a cycle would keep its memory until the garbage collector runs.
        self._steps = _encode(fold, self.rows)
        self._is_whole = False

    def step(self) -> bool:
        """Encode rows for about 1 ms. Whether there are more.

        The events of the fold are released one by one, because memory that is used again at once is the fastest.
        """
        if not self._is_whole:
            # Without a default: a plan whose encoding failed must never look like a complete one.
            self._is_whole = not next(self._steps)
        return not self._is_whole

    def finish(self) -> "Plan":
        """Encode the remaining rows."""
        while self.step():
            pass
        return self

    def referenced_users(self) -> list[str]:
        """Ids of users that must exist before the rows can, and are not among them."""
        return [user for user in self.user_references if user not in self.rows["users"]]

    def referenced_videos(self) -> list[str]:
        """Ids of videos that must exist before the facts can, and are not among the rows."""
        return [video for video in self.video_references if video not in self.rows["videos"]]

    def statements(self, missing: Missing) -> list[Statement]:
        """The statements, with placeholders for what is `missing`. Tables without rows are left out.

        Raises:
            ValueError: some rows are not encoded yet.
        """
        if not self._is_whole:
            message = "the plan is not finished"
            raise ValueError(message)
        placeholders: dict[TableName, dict[str, bytes]] = {
            "users": {user: _placeholder(user, self.user_references[user]) for user in missing.users},
            "videos": {video: _placeholder_video(video, *self.video_references[video]) for video in missing.videos},
        }
        all_rows = {
            table: rows | placeholders[table] if placeholders.get(table) else rows for table, rows in self.rows.items()
        }
        return [_statement(table, rows) for table, rows in all_rows.items() if rows]


def plan(fold: Fold) -> Plan:
    """The whole plan at once. It empties the fold."""
    return Plan(fold).finish()


def _encode(fold: Fold, into: dict[TableName, dict[str, bytes]]) -> Iterator[bool]:
    """Encode the rows of the fold and move them over; yields True after each part, and False at the end."""
    rows = size = 0
    for table, key, row in _rendered(fold):
        into[table][key] = members = _members(row)
        rows, size = rows + 1, size + len(members)
        if rows >= _ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
            yield True
            rows = size = 0
    yield False


def _rendered(fold: Fold) -> Iterator[tuple[TableName, str, dict[str, Any]]]:
    """Each row, taken out of the fold."""
    for table, rows in fold.rows.items():
        merge, created_at = MERGES[table], fold.created_at[table]
        version_columns = {facet: version_column(facet) for facet in merge.facets}
        while rows:
            key, row = rows.popitem()
            rendered = _render(key, row, merge, version_columns)
            if key in created_at:
                rendered["created_at"] = min(rendered["created_at"], created_at[key])
            yield table, key, rendered
    while fold.facts:
        key, event = fold.facts.popitem()
        yield "model_usage", key, _fact(event)
    while fold.states:
        (video_id, version), (at, status, error_code) = fold.states.popitem()
        state = {"video_id": video_id, "version": version, "status": status, "at": at}
        if error_code is not None:
            state["error_code"] = error_code
        yield "video_states", f"{video_id}/{version}", state


def _render(key: str, row: Row, merge: Merge, version_columns: dict[str, str]) -> dict[str, Any]:
    rendered: dict[str, Any] = {merge.key: key, "created_at": row.created_at, "updated_at": row.updated_at}
    for facet, (version, event, fill) in row.facets.items():
        fill(rendered, event)
        rendered[version_columns[facet]] = version
    rendered[merge.version] = row.version
    for column in merge.with_version:
        rendered[column] = row.latest["data"].get(column)
    if row.former_owners and row.version < ERASED_VERSION:
        rendered[FORMER_OWNERS] = sorted(row.former_owners - {row.latest["data"].get("user_id")}) or None
    if row.latest["type"] == OWNER_ERASED:
        rendered["updated_at"] = ERASED_TIME
    return rendered


def _placeholder(key: str, time: Any, **others: str | None) -> bytes:
    """A row of version 0. Its times are provisional: the row's own first event replaces them."""
    return _members({"id": key, "created_at": time, "updated_at": time, "version": 0, **others})


def _placeholder_video(key: str, user_id: str | None, time: Any) -> bytes:
    return _placeholder(key, time, user_id=user_id)


def _fact(event: Any) -> dict[str, Any]:
    time = event["time"]
    return {**event["data"], "id": event["data"]["usage_id"], "used_at": time, "created_at": time, "updated_at": time}


def _statement(table: TableName, rows: Mapping[str, bytes]) -> Statement:
    """Keys in lower-case hex sort as PostgreSQL sorts UUIDs."""
    array = b"[{" + b"},{".join(map(rows.__getitem__, sorted(rows))) + b"}]"
    return Statement(table, array.decode(), len(rows))


def _members(row: dict[str, Any]) -> bytes:
    """The row in JSON, without its braces. A slice is a copy: what orjson returns holds several kB, used or not."""
    return orjson.dumps(row)[1:-1]
