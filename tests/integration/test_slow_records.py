"""A record that the database never writes within its limits is parked when it is alone; the others are written."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied

SLOW = (
    """
    CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.title = ''Video 3'' THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END'
    """,
    "CREATE TRIGGER be_slow BEFORE INSERT ON videos FOR EACH ROW EXECUTE FUNCTION be_slow()",
)
"""What a trigger of somebody else may do."""


async def test_it_is_parked_and_its_neighbours_are_written(settings: Settings, operator: AsyncConnection) -> None:
    for statement in SLOW:
        await operator.execute(text(statement))
    database = settings.database.model_copy(update={"statement_timeout": 0.5, "lock_timeout": 0.4})
    impatient = settings.model_copy(update={"database": database})
    values = [(an_id(1).encode(), video("created", number)) for number in range(1, 6)]
    await publish(settings, topic_of(settings, "video"), values, partitioner=lambda *_: 0)
    async with consuming(impatient):
        await until_applied(settings)
    assert {row["title"] for row in await rows_of(settings, "videos")} == {f"Video {n}" for n in (1, 2, 4, 5)}
    (letter,) = await rows_of(settings, "dead_letters")
    assert (letter["offset"], letter["reason"], letter["detail"]["sqlstate"]) == (2, "refused", "57014")
