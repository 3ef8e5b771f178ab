"""A user whose only event was refused has no row: who refers to that user later must not be misled by a cache."""

from sqlalchemy import text

from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.records import Partition
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.models.engine import create_engine
from tests.support.builders import an_id, record, user, video
from tests.support.roles import TEST_SCHEMA
from tests.support.writing import GROUP, batch_of

PARTITION = Partition("user-events", 0)


async def test_a_video_of_a_user_whose_sign_up_is_parked_becomes_a_row(database: str) -> None:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    writer = BatchWriter(engine, GROUP)
    await Ledger(engine, GROUP).positions(None, {PARTITION: 0})
    clash = [record(user("created", n, username="bob", email=f"{n}@x"), n, topic="user-events") for n in (1, 2)]
    written = await writer.write(batch_of(clash, PARTITION, 0), carefully=True)
    assert [rejection.reason for rejection in written.rejections] == ["conflict"]
    await writer.write(
        batch_of([record(video("created", 1, owner=2)), record(video("created", 2, owner=1))], PARTITION, 2)
    )
    async with engine.connect() as connection:
        owners = set(await connection.scalars(text("SELECT user_id::text FROM videos")))
    await engine.dispose()
    assert owners == {an_id(1001), an_id(1002)}
