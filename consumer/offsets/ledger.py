"""The group's positions, as the source and the delivery ask for them: each question is a transaction of its own."""

from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.records import Partition

from .store import Stored, adopt_topics, create_positions, list_positions, read_positions


class Ledger:
    """The positions of one consumer group in PostgreSQL."""

    def __init__(self, engine: AsyncEngine, group: str) -> None:
        self._engine = engine
        self._group = group

    async def positions(
        self,
        cluster_id: str | None,
        starts: Mapping[Partition, int],
        topic_ids: Mapping[Partition, str | None] | None = None,
    ) -> dict[Partition, Stored]:
        """The stored positions of these partitions; one never seen is given its start, and its topic, first."""
        async with self._engine.begin() as connection:
            await create_positions(connection, self._group, cluster_id, starts, topic_ids)
            return await read_positions(connection, self._group, starts)

    async def adopt(
        self, next_offsets: Mapping[Partition, int], topic_ids: Mapping[Partition, str | None]
    ) -> set[Partition]:
        """Say which topics positions are of, where they are at these offsets still; those of which it was said."""
        async with self._engine.begin() as connection:
            return await adopt_topics(connection, self._group, next_offsets, topic_ids)

    async def next_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where each partition goes on."""
        async with self._engine.begin() as connection:
            stored = await read_positions(connection, self._group, partitions)
        return {partition: position.next_offset for partition, position in stored.items()}

    async def all_next_offsets(self) -> dict[Partition, int]:
        """Where each partition of the group goes on, whoever owns it."""
        async with self._engine.begin() as connection:
            rows = await list_positions(connection, self._group)
        return {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
