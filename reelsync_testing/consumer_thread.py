"""A consumer that runs beside a test, in its own thread and event loop, so that the test may be synchronous."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeVar

from aiokafka import AIOKafkaProducer

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from reelsync.events import Aggregate, EventData
from reelsync.events.publishing import AIOKAFKA_OPTIONS, OutgoingRecord, Publisher, Sent

from .running import rows_of, until_applied

Result = TypeVar("Result")
_START_SECONDS = 60.0


class RunningConsumer:
    """A consumer of the test's own topics into the test's own database."""

    def __init__(self, settings: Settings, running: "Future[None]") -> None:
        self.settings = settings
        self._running = running

    @property
    def bootstrap_servers(self) -> str:
        """The brokers for the service under test."""
        return self.settings.kafka.bootstrap_servers

    @property
    def topics(self) -> dict[Aggregate, str]:
        """The topic of each aggregate, as `Publisher(topics=…)` takes it."""
        return {about: topic for topic, about in self.settings.kafka.topics.items() if isinstance(about, str)}

    @property
    def database_url(self) -> str:
        """The database that the consumer writes to, for `models.create_engine`."""
        return self.settings.database.url.get_secret_value()

    async def publish(self, *events: EventData | OutgoingRecord, source: str = "/tests") -> list[Sent]:
        """Send events; returns when they are acknowledged.

        Raises:
            InvalidEventError: one is not valid.
            DeliveryError: some were not acknowledged.
        """
        async with self._publisher(source) as publisher:
            return await publisher.send_many(events)

    async def erase(self, aggregate: Literal["user", "video"], erased: str) -> Sent:
        """Send a tombstone.

        Raises:
            DeliveryError: it was not acknowledged.
        """
        async with self._publisher("/tests") as publisher:
            return await publisher.erase(aggregate, erased)

    async def until_applied(self, *, dead_letters: bool = False) -> None:
        """Wait until everything that is in the topics now has been applied.

        Raises:
            AssertionError: it takes longer than a minute; or there are unexpected dead letters: says why each.
            ReelsyncError: the consumer stopped; says why.
        """
        await until_applied(self.settings, self._raise_if_it_stopped)
        if not dead_letters and (letters := await self.dead_letters()):
            reasons = "; ".join(
                f"{letter['event_type']} {letter['event_id']}: {letter['reason']} {letter['detail']}"
                for letter in letters
            )
            raise AssertionError(f"{len(letters)} records became dead letters: {reasons}")

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of users, user_profiles, videos or model_usage, placeholders included, in the order of their ids."""
        return await rows_of(self.settings, table)

    async def dead_letters(self) -> list[dict[str, Any]]:
        """The records that could not be applied, each with `reason` and `detail`.

        Those that were applied in the end are not among them, for example two users who swapped their names and whose
        events came in an order that conflicts.
        """
        letters = await rows_of(self.settings, "dead_letters", 'topic, partition, "offset"')
        return [letter for letter in letters if letter["state"] != "redriven"]

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run one of the methods above in a synchronous test."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(asyncio.run, coroutine).result()

    @asynccontextmanager
    async def _publisher(self, source: str) -> AsyncIterator[Publisher]:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, **AIOKAFKA_OPTIONS) as producer:
            yield Publisher(producer, source=source, topics=self.topics)

    def _raise_if_it_stopped(self) -> None:
        if self._running.done():
            self._running.result()
            raise AssertionError("the consumer has stopped")


@contextmanager
def consumer_thread(settings: Settings) -> Iterator[RunningConsumer]:
    """A running consumer. An error of the consumer is raised when the block ends."""
    stops: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def consume() -> None:
        stop = asyncio.Event()
        stops.set_result((asyncio.get_running_loop(), stop))
        await Consumer(settings).run(stop)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reelsync-consumer") as pool:
        running = pool.submit(asyncio.run, consume())
        loop, stop = stops.result(_START_SECONDS)
        try:
            yield RunningConsumer(settings, running)
        finally:
            if not running.done():
                loop.call_soon_threadsafe(stop.set)
            running.result()
