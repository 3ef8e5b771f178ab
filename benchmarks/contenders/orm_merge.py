"""aiokafka, Pydantic and the ORM: `session.merge` of each event, one transaction a batch, then Kafka's commit.

As most teams write it first: https://docs.sqlalchemy.org/en/21/orm/session_state_management.html#merging
"""

import asyncio

from aiokafka import AIOKafkaConsumer
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benchmarks.contenders.assignment import SESSION_MS, Assignment, read_assignment
from benchmarks.contenders.team_events import VideoEvent
from reelsync.models.videos import Video

_MAX_RECORDS = 500


async def main(assignment: Assignment) -> None:
    """Consume until stopped."""
    sessions = async_sessionmaker(create_async_engine(assignment.database_url))
    consumer = AIOKafkaConsumer(
        assignment.topic,
        bootstrap_servers=assignment.bootstrap_servers,
        group_id=assignment.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
    )
    await consumer.start()
    done = 0
    while True:
        fetched = await consumer.getmany(timeout_ms=200, max_records=_MAX_RECORDS)
        events = [VideoEvent.model_validate_json(record.value) for records in fetched.values() for record in records]
        if not events:
            continue
        async with sessions.begin() as session:
            for event in events:
                columns = event.columns()
                await session.merge(Video(**columns))
        await consumer.commit()
        done += len(events)
        print(done, flush=True)


if __name__ == "__main__":
    asyncio.run(main(read_assignment()))
