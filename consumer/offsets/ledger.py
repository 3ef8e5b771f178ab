"""The group's positions, as the source and the delivery use them. Each call is a transaction of its own."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.kafka.neighbours import Home
from reelsync.consumer.records import Partition
from reelsync.models.database_url import place_of

from .store import Stored, adopt_topics, all_positions, create_positions, read_positions

# The cluster of PostgreSQL, the database in it, and the table in that: a copy of any of them has another.
_HOME = text(
    """
    SELECT concat_ws('/', c.system_identifier, d.oid, 'consumer_offsets'::regclass::oid)
      FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
    """
)


class Ledger:
    """The positions of one consumer group in PostgreSQL."""

    def __init__(self, engine: AsyncEngine, group: str) -> None:
        self._engine = engine
        self._group = group

    async def home(self) -> Home:
        """The database that the positions are in, asked anew: what the URL leads to may have been replaced."""
        url = self._engine.url
        async with self._engine.begin() as connection:
            found = await connection.scalar(_HOME, execution_options={"query_name": "offsets.home"})
        return Home(sha256(str(found).encode()).hexdigest()[:16], f"{place_of(url)}/{url.database}")

    async def positions(
        self,
        cluster_id: str | None,
        starts: Mapping[Partition, int],
        topic_ids: Mapping[Partition, str | None] | None = None,
    ) -> dict[Partition, Stored]:
        """The stored positions of these partitions. A new partition first gets its start and its topic id."""
        async with self._engine.begin() as connection:
            await create_positions(connection, self._group, cluster_id, starts, topic_ids)
            return await read_positions(connection, self._group, starts)

    async def adopt(
        self, held: Mapping[Partition, Stored], topic_ids: Mapping[Partition, str | None]
    ) -> set[Partition]:
        """Store the topic ids of positions that are still as they were read. Returns the partitions stored."""
        async with self._engine.begin() as connection:
            return await adopt_topics(connection, self._group, held, topic_ids)

    async def next_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The next offset of each partition."""
        async with self._engine.begin() as connection:
            stored = await read_positions(connection, self._group, partitions)
        return {partition: position.next_offset for partition, position in stored.items()}

    async def all_next_offsets(self) -> dict[Partition, int]:
        """The next offset of every partition of the group, also of those that other members own."""
        async with self._engine.begin() as connection:
            stored = await all_positions(connection, self._group)
        return {partition: position.next_offset for partition, position in stored.items()}
