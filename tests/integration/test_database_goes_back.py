"""A failover to a replica that lagged, a restore, a crash with synchronous_commit off: transactions are undone.

Rows and positions go back together, and are made again from the log.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, user, video
from tests.support.running import consuming, eventually, publish, rows_of, tables_of, topic_of, until_applied

LOSE_ROWS = "TRUNCATE users, videos, user_profiles, model_usage, dead_letters"
LOSE_POSITIONS = """
    UPDATE consumer_offsets SET next_offset = 0, anchor_offset = NULL, anchor_timestamp = NULL, anchor_crc = NULL
"""


async def execute(operator_url: str, *statements: str) -> None:
    engine = create_async_engine(operator_url, poolclass=NullPool)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def publish_some(settings: Settings) -> None:
    await publish(settings, topic_of(settings, "user"), [(an_id(1).encode(), user("created"))])
    videos = [(an_id(n).encode(), video("created", n)) for n in range(50)]
    await publish(settings, topic_of(settings, "video"), [*videos, (b"poison", b"poison")])


async def test_an_idle_consumer_notices_and_applies_all_of_it_again(settings: Settings, operator_url: str) -> None:
    await publish_some(settings)
    async with consuming(settings) as consumer:
        await until_applied(settings)
        before, letters = await tables_of(settings), await rows_of(settings, "dead_letters")
        consumer.loop.audit_seconds = 0.1
        consumer.loop._next_audit = 0.0
        await execute(operator_url, LOSE_ROWS, LOSE_POSITIONS)
        await until_applied(settings)
    assert await tables_of(settings) == before
    assert [letter["attempts"] for letter in await rows_of(settings, "dead_letters")] == [1] * len(letters) == [1]


async def test_rows_that_were_known_and_are_gone_are_looked_for_again(settings: Settings, operator_url: str) -> None:
    """Here a record arrives before the audit: its users and videos are remembered, and are not there."""
    await publish_some(settings)
    async with consuming(settings) as consumer:
        await until_applied(settings)
        consumer.loop._next_audit = float("inf")
        await execute(operator_url, LOSE_ROWS)
        await publish(settings, topic_of(settings, "video"), [(an_id(99).encode(), video("created", 99))])

        async def refused() -> bool:
            return bool(consumer.metrics.registry.get_sample_value("reelsync_retries_total", {"reason": "again"}))

        await eventually(refused, "the foreign key refused")
        await until_applied(settings)
    assert [row["title"] for row in await rows_of(settings, "videos")] == ["Video 99"]
