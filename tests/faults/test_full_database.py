"""The disk of the database's server is full, that of its data or that of its log, until somebody makes room."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from reelsync.testing.servers.containers import ContainerPostgres
from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.services.small_disk import SmallDisk, has_ended
from tests.services.template import with_template
from tests.support.running import eventually

pytestmark = pytest.mark.containers
Take = Callable[[Outcome], None]
OPTIONS = "--waldir=/wal/pg_wal --wal-segsize=1"
"""The log is on a disk of its own. In small segments, so that it soon needs another one."""
USE_UP_LOG = "SELECT pg_logical_emit_message(false, 'test', repeat('x', 4000000))"
"""The server has segments in reserve, which were made when there was room."""
PANIC = b"PANIC:  could not write to file"


class SmallPostgres(ContainerPostgres):
    """PostgreSQL with a small disk for its data and another one for its log."""

    def __init__(self, data: SmallDisk, log: SmallDisk) -> None:
        super().__init__()
        self.data, self.log = data, log
        self._container.with_volume_mapping(data.name, "/var/lib/postgresql", "rw")
        self._container.with_volume_mapping(log.name, "/wal", "rw")
        self._container.with_env("POSTGRES_INITDB_ARGS", OPTIONS)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended for good. After a panic it first tries to recover, and may succeed once more."""
        return has_ended(self._container.get_wrapped_container())

    def panics(self) -> int:
        """How often a server process ended all the others, because it could not write the log."""
        return bytes(self._container.get_wrapped_container().logs()).count(PANIC)


@pytest.fixture(scope="module")
def reelsync_postgres() -> Iterator[SmallPostgres]:
    with SmallDisk(256) as data, SmallDisk(96) as log, SmallPostgres(data, log) as server:
        yield server


@pytest.fixture(scope="module")
def postgres(reelsync_postgres: SmallPostgres) -> SmallPostgres:
    return with_template(reelsync_postgres)


async def test_the_disk_of_the_data_is_full(campaign: Campaign, postgres: SmallPostgres, outcomes: Take) -> None:
    refused = 0
    for _ in range(FEW_ROUNDS):
        with campaign.consumer() as consumer:
            await campaign.apply(50)
            async with campaign.held_back():
                await campaign.publish(400)
                postgres.data.fill()
            await eventually(refused_for_it(consumer), f"a batch is refused: {consumer.said()}")
            assert consumer.exit_code is None
            refused += consumer.mentions("batch.failed", "53100")
            postgres.data.free()
            await campaign.recover()
    outcomes(await campaign.judge("database: disk of its data full", refused))


def refused_for_it(consumer: ConsumerProcess) -> Callable[[], object]:
    async def refused() -> bool:
        return consumer.mentions("batch.failed", "53100") > 0

    return refused


async def test_the_disk_of_the_log_is_full(campaign: Campaign, postgres: SmallPostgres, outcomes: Take) -> None:
    """The server ends in a panic, and does not start before there is room again."""
    before = postgres.panics()
    with campaign.consumer() as first, campaign.consumer() as second:
        for _ in range(FEW_ROUNDS):
            panics = postgres.panics()
            await campaign.apply(50)
            async with campaign.flow(400):
                postgres.log.fill()

                async def ended() -> bool:
                    with suppress(SQLAlchemyError, OSError):
                        await campaign.operator.execute(text(USE_UP_LOG))
                    return postgres.has_ended

                await eventually(ended, "the server ends")
                assert postgres.panics() > panics
                postgres.log.free()
                postgres.start()
                await campaign.reconnect()
            await campaign.recover()
        assert (first.exit_code, second.exit_code) == (None, None)
    outcomes(await campaign.judge("database: disk of its log full", postgres.panics() - before))
