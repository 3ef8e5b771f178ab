"""Positions in PostgreSQL, which are the truth about how far each group has read, and the fence that guards them.

Each statement takes all partitions of a batch in one JSON parameter.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.errors import FencedError
from reelsync.consumer.records import Anchor, Partition, Span
from reelsync.models.upsert import JsonText

# The rows are locked in order before any is updated: a bare UPDATE from a sorted list locks in the order of its plan,
# and two owners of overlapping partitions deadlock.
_FENCE = text(
    """
    WITH w AS MATERIALIZED (
      SELECT * FROM json_to_recordset(:spans) AS r(
        topic text, partition int, start bigint, next bigint, topic_id text,
        anchor_offset bigint, anchor_timestamp bigint, anchor_crc bigint)),
    held AS MATERIALIZED (
      SELECT o.topic, o.partition, w.next, w.anchor_offset, w.anchor_timestamp, w.anchor_crc
        FROM consumer_offsets o JOIN w USING (topic, partition)
       WHERE o.consumer_group = :consumer_group AND o.next_offset = w.start
         AND o.topic_id IS NOT DISTINCT FROM w.topic_id
       ORDER BY o.topic, o.partition
         FOR NO KEY UPDATE OF o)
    UPDATE consumer_offsets o
       SET next_offset = h.next,
           read_from = COALESCE(o.read_from, o.next_offset),
           anchor_offset = COALESCE(h.anchor_offset, o.anchor_offset),
           anchor_timestamp = COALESCE(h.anchor_timestamp, o.anchor_timestamp),
           anchor_crc = COALESCE(h.anchor_crc, o.anchor_crc),
           updated_at = now()
      FROM held h
     WHERE o.consumer_group = :consumer_group AND (o.topic, o.partition) = (h.topic, h.partition)
    """
).bindparams(bindparam("spans", type_=JsonText()))


_READ = text(
    """
    SELECT o.topic, o.partition, o.next_offset, o.cluster_id, o.anchor_offset, o.anchor_timestamp, o.anchor_crc,
           o.topic_id
      FROM consumer_offsets o
      JOIN json_to_recordset(:partitions) AS r(topic text, partition int) USING (topic, partition)
     WHERE o.consumer_group = :consumer_group
    """
).bindparams(bindparam("partitions", type_=JsonText()))


_CREATE = text(
    """
    INSERT INTO consumer_offsets (consumer_group, topic, partition, next_offset, read_from, cluster_id, topic_id)
    SELECT :consumer_group, r.topic, r.partition, r.next_offset, r.next_offset, :cluster_id, r.topic_id
      FROM json_to_recordset(:partitions) AS r(topic text, partition int, next_offset bigint, topic_id text)
     ORDER BY r.topic, r.partition
        ON CONFLICT ON CONSTRAINT pk_consumer_offsets DO NOTHING
    """
).bindparams(bindparam("partitions", type_=JsonText()))


# Rows are locked in order before any is updated, for the same reason as in the fence; also in the next statement.
_ADOPT = text(
    """
    WITH w AS MATERIALIZED (
      SELECT * FROM json_to_recordset(:partitions) AS r(
        topic text, partition int, next_offset bigint, topic_id text, held_id text)),
    held AS MATERIALIZED (
      SELECT o.topic, o.partition, w.topic_id
        FROM consumer_offsets o JOIN w USING (topic, partition, next_offset)
       WHERE o.consumer_group = :consumer_group AND o.topic_id IS NOT DISTINCT FROM w.held_id
       ORDER BY o.topic, o.partition
         FOR NO KEY UPDATE OF o)
    UPDATE consumer_offsets o
       SET topic_id = h.topic_id
      FROM held h
     WHERE o.consumer_group = :consumer_group AND (o.topic, o.partition) = (h.topic, h.partition)
    RETURNING o.topic, o.partition
    """
).bindparams(bindparam("partitions", type_=JsonText()))


_RESET = text(
    """
    WITH w AS MATERIALIZED (
      SELECT * FROM json_to_recordset(:partitions) AS r(topic text, partition int, next_offset bigint, topic_id text)),
    held AS MATERIALIZED (
      SELECT o.topic, o.partition, w.next_offset, w.topic_id
        FROM consumer_offsets o JOIN w USING (topic, partition)
       WHERE o.consumer_group = :consumer_group
       ORDER BY o.topic, o.partition
         FOR NO KEY UPDATE OF o)
    UPDATE consumer_offsets o
       SET next_offset = h.next_offset, read_from = h.next_offset,
           cluster_id = :cluster_id, topic_id = h.topic_id, updated_at = now(),
           anchor_offset = NULL, anchor_timestamp = NULL, anchor_crc = NULL
      FROM held h
     WHERE o.consumer_group = :consumer_group AND (o.topic, o.partition) = (h.topic, h.partition)
    """
).bindparams(bindparam("partitions", type_=JsonText()))


_LIST = text(
    """
    SELECT topic, partition, next_offset, cluster_id, anchor_offset, anchor_timestamp, anchor_crc, topic_id, updated_at
      FROM consumer_offsets WHERE consumer_group = :consumer_group ORDER BY topic, partition
    """
)


class Stored(NamedTuple):
    """The stored position of one partition.

    A new partition has no anchor, and may have no cluster. `topic_id` is None if brokers without topic ids, or an older
    release, stored the position.
    """

    next_offset: int
    cluster_id: str | None
    anchor: Anchor | None
    topic_id: str | None = None


async def fence(
    connection: AsyncConnection, group: str, spans: Mapping[Partition, Span], anchors: Mapping[Partition, Anchor]
) -> None:
    """Move the positions, if each is still where the batch began and in the same topic.

    This is the first statement of the batch's transaction. A second owner waits here for the first to finish, and is
    then refused.

    Raises:
        FencedError: a partition has another position, because it has another owner now.
    """
    rows = [
        _place(partition)
        | {"start": span.start, "next": span.next, "topic_id": span.topic_id}
        | _anchor_columns(anchors.get(partition))
        for partition, span in sorted(spans.items())
    ]
    parameters = {"consumer_group": group, "spans": orjson.dumps(rows).decode()}
    moved = await connection.execute(_FENCE, parameters, execution_options={"query_name": "offsets.fence"})
    if moved.rowcount != len(rows):
        message = (
            f"{len(rows) - moved.rowcount} of {len(rows)} partitions are no longer at the position they were read from"
        )
        raise FencedError(message)


async def read_positions(
    connection: AsyncConnection, group: str, partitions: Iterable[Partition]
) -> dict[Partition, Stored]:
    """The stored positions of the partitions; new ones are left out."""
    parameters = {"consumer_group": group, "partitions": _encoded(partitions)}
    rows = await connection.execute(_READ, parameters, execution_options={"query_name": "offsets.read"})
    return {Partition(row["topic"], row["partition"]): stored_in(row) for row in rows.mappings()}


async def create_positions(
    connection: AsyncConnection,
    group: str,
    cluster_id: str | None,
    starts: Mapping[Partition, int],
    topic_ids: Mapping[Partition, str | None] | None = None,
) -> None:
    """Store the first position of new partitions. One that another owner stored meanwhile stays."""
    partitions = _with_topic_ids(starts, topic_ids)
    parameters = {"consumer_group": group, "cluster_id": cluster_id, "partitions": partitions}
    await connection.execute(_CREATE, parameters, execution_options={"query_name": "offsets.create"})


async def adopt_topics(
    connection: AsyncConnection,
    group: str,
    held: Mapping[Partition, Stored],
    topic_ids: Mapping[Partition, str | None],
) -> set[Partition]:
    """Store the topic ids of positions that are still as they were read. Returns the partitions stored."""
    rows_to_store = [
        _place(partition)
        | {"next_offset": stored.next_offset, "held_id": stored.topic_id, "topic_id": topic_ids[partition]}
        for partition, stored in sorted(held.items())
    ]
    parameters = {"consumer_group": group, "partitions": orjson.dumps(rows_to_store).decode()}
    rows = await connection.execute(_ADOPT, parameters, execution_options={"query_name": "offsets.adopt"})
    return {Partition(row["topic"], row["partition"]) for row in rows.mappings()}


async def reset_positions(
    connection: AsyncConnection,
    group: str,
    cluster_id: str | None,
    next_offsets: Mapping[Partition, int],
    topic_ids: Mapping[Partition, str | None],
) -> int:
    """Set positions for an operator; returns how many. A running consumer is fenced by it, and continues there."""
    partitions = _with_topic_ids(next_offsets, topic_ids)
    parameters = {"consumer_group": group, "cluster_id": cluster_id, "partitions": partitions}
    changed = await connection.execute(_RESET, parameters, execution_options={"query_name": "offsets.reset"})
    return changed.rowcount


async def list_positions(connection: AsyncConnection, group: str) -> list[RowMapping]:
    """All positions of the group: the columns of `consumer_offsets`, without the group and `read_from`."""
    rows = await connection.execute(_LIST, {"consumer_group": group}, execution_options={"query_name": "offsets.list"})
    return list(rows.mappings())


async def all_positions(connection: AsyncConnection, group: str) -> dict[Partition, Stored]:
    """The stored position of every partition in which the group has one."""
    rows = await list_positions(connection, group)
    return {Partition(row["topic"], row["partition"]): stored_in(row) for row in rows}


def stored_in(row: RowMapping) -> Stored:
    """The position that a row of `list_positions` holds."""
    anchor = None
    if row["anchor_offset"] is not None:
        anchor = Anchor(row["anchor_offset"], row["anchor_timestamp"], row["anchor_crc"])
    return Stored(row["next_offset"], row["cluster_id"], anchor, row["topic_id"])


def _anchor_columns(anchor: Anchor | None) -> dict[str, int]:
    if anchor is None:
        return {}
    return {"anchor_offset": anchor.offset, "anchor_timestamp": anchor.timestamp, "anchor_crc": anchor.crc}


def _encoded(partitions: Iterable[Partition]) -> str:
    return orjson.dumps([_place(partition) for partition in sorted(partitions)]).decode()


def _with_topic_ids(next_offsets: Mapping[Partition, int], topic_ids: Mapping[Partition, str | None] | None) -> str:
    rows = [
        _place(partition) | {"next_offset": offset, "topic_id": (topic_ids or {}).get(partition)}
        for partition, offset in sorted(next_offsets.items())
    ]
    return orjson.dumps(rows).decode()


def _place(partition: Partition) -> dict[str, Any]:
    return {"topic": partition.topic, "partition": partition.number}
