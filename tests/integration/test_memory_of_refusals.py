"""What a log of refused events leaves in memory."""

import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.records import Partition
from reelsync.consumer.sink.breaker import DeadLetterLimit
from reelsync.consumer.sink.delivery import Deliverer
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.models.engine import create_engine
from tests.support.builders import record, usage
from tests.support.observing import RecordingObserver
from tests.support.roles import TEST_SCHEMA
from tests.support.writing import GROUP, batch_of

PARTITION = Partition("video-events", 0)
REFUSE = "ALTER TABLE model_usage ADD CONSTRAINT ck_of_a_test CHECK (model_name <> 'refused')"


@pytest.fixture
def without_collector() -> Iterator[None]:
    """The collector does not come, as it may not for a while in a process that makes many objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def errors() -> int:
    return sum(isinstance(one, DBAPIError) for one in gc.get_objects())


async def refuse(operator_url: str) -> None:
    operator = create_engine(operator_url, search_path=TEST_SCHEMA)
    async with operator.begin() as connection:
        await connection.execute(text(REFUSE))
    await operator.dispose()


@pytest.mark.usefixtures("without_collector")
async def test_the_rows_of_a_refused_statement_are_freed_at_once(database: str, operator_url: str) -> None:
    await refuse(operator_url)
    engine = create_engine(database, search_path=TEST_SCHEMA)
    writer, ledger = BatchWriter(engine, GROUP), Ledger(engine, GROUP)
    await ledger.positions(None, {PARTITION: 0})
    deliverer = Deliverer(
        writer=writer,
        ledger=ledger,
        limit=DeadLetterLimit(100, 100, 1.0),
        observer=RecordingObserver(),
        is_current=lambda _epoch: True,
    )
    before = errors()
    records = [record(usage(n, model_name="refused" if n % 8 == 0 else "fine"), n) for n in range(32)]
    (written,) = await deliverer.deliver(batch_of(records, PARTITION, 0))
    after = errors()
    await engine.dispose()
    assert [rejection.reason for rejection in written.rejections] == ["refused"] * 4
    assert after == before
    assert not writer.attempted.rejections
