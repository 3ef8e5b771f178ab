"""A fold to the statements of a batch: one for each table, rows sorted by key, tables in the order of their references.

Pure. One sorted statement a table is what keeps concurrent writers from deadlocking; two over one table would not.
"""

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import orjson

from models.facets import Merge, version_column

from .fold import Fold, Row
from .projections import MERGES, RowType

TableName = Literal["users", "user_profiles", "videos", "model_usage"]


class Statement(NamedTuple):
    """The rows of one table, as the JSON array that its statement takes."""

    table: TableName
    rows: str
    row_count: int


class Missing(NamedTuple):
    """The ids that a fold refers to and that the database does not have."""

    users: Collection[str]
    videos: Collection[str]


def referenced_users(fold: Fold) -> list[str]:
    """Ids of users that must exist before the rows of the fold can, and are not among them."""
    return [user for user in fold.user_references if user not in fold.rows["users"]]


def referenced_videos(fold: Fold) -> list[str]:
    """Ids of videos that must exist before the facts of the fold can, and are not among its rows."""
    return [video for video in fold.video_references if video not in fold.rows["videos"]]


def plan(fold: Fold, missing: Missing) -> list[Statement]:
    """The statements that merge `fold`, with placeholders for what is `missing`. Tables without rows are left out."""
    missing_rows: dict[RowType, dict[str, dict[str, Any]]] = {
        "users": {user: _placeholder(user, fold.user_references[user]) for user in missing.users},
        "user_profiles": {},
        "videos": {video: _placeholder_video(video, *fold.video_references[video]) for video in missing.videos},
    }
    statements = [_statement(table, _rendered(fold, table) | missing_rows[table]) for table in missing_rows]
    statements.append(_statement("model_usage", {usage: _fact(event) for usage, event in fold.facts.items()}))
    return [statement for statement in statements if statement.row_count]


def _rendered(fold: Fold, table: RowType) -> dict[str, dict[str, Any]]:
    merge = MERGES[table]
    version_columns = {facet: version_column(facet) for facet in merge.facets}
    rendered = {key: _render(key, row, merge, version_columns) for key, row in fold.rows[table].items()}
    for key, begun in fold.begun[table].items():
        rendered[key]["created_at"] = min(rendered[key]["created_at"], begun)
    return rendered


def _render(key: str, row: Row, merge: Merge, version_columns: dict[str, str]) -> dict[str, Any]:
    rendered: dict[str, Any] = {merge.key: key, "created_at": row.created_at, "updated_at": row.updated_at}
    for facet, (version, event, values) in row.facets.items():
        rendered.update(values(event))
        rendered[version_columns[facet]] = version
    rendered[merge.version] = row.version
    for column in merge.with_version:
        rendered[column] = row.latest["data"].get(column)
    return rendered


def _placeholder(key: str, time: Any) -> dict[str, Any]:  # noqa: ANN401 - a datetime, whose type the validators do not state
    """A row of version 0. Its times are provisional: the row's own first event replaces them."""
    return {"id": key, "created_at": time, "updated_at": time, "version": 0}


def _placeholder_video(key: str, user_id: str, time: Any) -> dict[str, Any]:  # noqa: ANN401
    return {**_placeholder(key, time), "user_id": user_id}


def _fact(event: Any) -> dict[str, Any]:  # noqa: ANN401
    time = event["time"]
    return {**event["data"], "id": event["data"]["usage_id"], "used_at": time, "created_at": time, "updated_at": time}


def _statement(table: TableName, rows: dict[str, dict[str, Any]]) -> Statement:
    """Keys in lower-case hex sort as PostgreSQL sorts UUIDs."""
    encoded = orjson.dumps([rows[key] for key in sorted(rows)])
    return Statement(table, encoded.decode(), len(rows))
