"""What each record did, kept by triggers of the test's own: which offsets every committed transaction stood for.

Rows cannot show that a record was applied twice, because the merge is idempotent. Positions moved by committed
transactions can, and so can dead letters, which count their attempts.
"""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.records import Partition
from tests.support.roles import SCHEMA

_INSTALL = (
    """
    CREATE TABLE effects (
        topic text NOT NULL, partition int NOT NULL, first bigint NOT NULL, next bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp())
    """,
    f"""
    CREATE FUNCTION record_effects() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO {SCHEMA}.effects VALUES (NEW.topic, NEW.partition, OLD.next_offset, NEW.next_offset);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER record_effects AFTER UPDATE OF next_offset ON consumer_offsets
        FOR EACH ROW WHEN (OLD.next_offset <> NEW.next_offset) EXECUTE FUNCTION record_effects()
    """,
)


async def install_effects(operator: AsyncConnection) -> None:
    """Begin to keep account."""
    for statement in _INSTALL:
        await operator.execute(text(statement))


async def effects_of(operator: AsyncConnection, ends: Mapping[Partition, int]) -> tuple[int, int]:
    """How many records below the ends had no effect, and how many effects were one too many."""
    applied: dict[Partition, Counter[int]] = {partition: Counter() for partition in ends}
    for topic, partition, first, following in await operator.execute(
        text("SELECT topic, partition, first, next FROM effects")
    ):
        applied[Partition(topic, partition)].update(range(first, following))
    lost = sum(end - sum(offset < end for offset in applied[partition]) for partition, end in ends.items())
    doubled = sum(times - 1 for counts in applied.values() for times in counts.values())
    attempts = await operator.scalar(text("SELECT coalesce(sum(attempts - 1), 0) FROM dead_letters"))
    return lost, doubled + int(attempts or 0)
