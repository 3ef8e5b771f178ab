"""Queries of Kafka that need no group: topics, where logs begin and end, single records."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from reelsync.consumer.errors import KafkaFailedError
from reelsync.consumer.kafka.reader import Reader, Topic
from reelsync.consumer.records import Anchor, Partition, Span, anchor_of
from reelsync.consumer.settings import KafkaSettings

from .clients import admin_client, connection_options, stop_within
from .diagnosis import diagnose
from .record_batches import read_all_batches
from .scan import Scanned, scan
from .survey import Survey, survey

_STOP_SECONDS = 5.0


class KafkaLog:
    """Queries of the brokers in the settings. Each query uses a client of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self.client_rack = settings.client_rack

    async def cluster(self) -> tuple[str | None, dict[str, int]]:
        """The cluster's id, and its topics with their numbers of partitions. Asking creates no topic.

        Raises:
            UnavailableError: no broker answers.
            MisconfiguredError: one does, and cannot be used with these settings.
        """
        try:
            async with admin_client(self._settings) as admin:
                described: dict[str, Any] = await admin.describe_cluster()
                topics = await admin.describe_topics()
        except (KafkaError, OSError, TimeoutError) as error:
            raise await diagnose(self._settings, error) from error
        return described.get("cluster_id"), {topic["topic"]: len(topic["partitions"]) for topic in topics}

    async def topics(self, names: Collection[str]) -> dict[str, Topic]:
        """Those of the topics that exist. Asking creates none.

        Raises:
            KafkaFailedError: the brokers did not answer.
        """
        async with self.reader([]) as reader:
            return await reader.topics(names)

    async def survey(
        self, partitions: Collection[Partition], topics: Mapping[str, Topic] | None = None, *, soon: bool = False
    ) -> Survey:
        """Where the logs of the partitions that exist begin and end, or why that is not known: see `survey`.

        Raises:
            KafkaFailedError: no broker answered.
        """
        options = {"isolation_level": "read_committed", "fetch_max_wait_ms": 50, "max_partition_fetch_bytes": 4_096}
        async with self.reader([], **options) as reader:
            known = await reader.topics({p.topic for p in partitions}) if topics is None else topics
            return await survey(reader, partitions, known, soon=soon)

    async def ranges(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """Begin and end of the log of each partition that exists.

        Raises:
            KafkaFailedError: the brokers did not answer.
            UnavailableError: nothing is known of some partitions.
        """
        found = (await self.survey(partitions)).whole()
        return {partition: (bounds.begin, bounds.end) for partition, bounds in found.items()}

    async def offsets_at(self, partitions: Iterable[Partition], timestamp: int) -> dict[Partition, int | None]:
        """The first offset of each partition whose record is of this time (ms since 1970) or later, or None.

        Raises:
            KafkaFailedError: the brokers did not answer.
        """
        wanted = {TopicPartition(*partition): timestamp for partition in partitions}
        async with self.reader(list(wanted)) as reader:
            found = await reader.offsets_for_times(wanted)
            # Without such a record the embedded broker answers offset 0, and no timestamp.
            return {Partition(*tp): at.offset if at and at.timestamp >= 0 else None for tp, at in found.items()}

    async def timestamps(self, offsets: Mapping[Partition, int], seconds: float) -> dict[Partition, int]:
        """The timestamp of the first record at or after each of these offsets, in ms since 1970.

        Partitions whose record does not arrive in time are left out.
        """
        found: dict[Partition, int] = {}
        if not offsets:
            return found
        wanted = {TopicPartition(*partition): offset for partition, offset in offsets.items()}
        options = {"isolation_level": "read_committed", "max_partition_fetch_bytes": 4_096}
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.reader(list(wanted), **options) as reader:
                for tp, offset in wanted.items():
                    reader.seek(tp, offset)
                while waiting := [tp for tp in wanted if Partition(*tp) not in found]:
                    for tp, records in (await reader.getmany(*waiting, timeout_ms=200)).items():
                        found[Partition(*tp)] = records[0].timestamp
        return found

    async def anchors(
        self, offsets: Mapping[Partition, int], seconds: float, topic_ids: Mapping[Partition, str | None] | None = None
    ) -> dict[Partition, Anchor]:
        """The records at these offsets, as anchors, without those that are gone or do not arrive in time.

        With `topic_ids`, records are fetched from the topics with these ids.
        """
        found: dict[Partition, Anchor] = {}
        if not offsets:
            return found
        wanted = {TopicPartition(*partition): offset for partition, offset in offsets.items()}
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.reader(list(wanted), max_partition_fetch_bytes=65_536) as reader:
                if topic_ids:
                    reader.read_from({partition: topic_ids[partition] for partition in offsets})
                for tp, offset in wanted.items():
                    reader.seek(tp, offset)
                waiting = set(wanted)
                while waiting:
                    for tp, records in (await reader.getmany(*waiting, timeout_ms=200)).items():
                        waiting.discard(tp)
                        if records[0].offset == wanted[tp]:
                            found[Partition(*tp)] = anchor_of(records[0])
                    # A log that ends before the offset has no such record.
                    waiting -= reader.failures.keys()
        return found

    def scan(self, stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
        """The readable records of these ranges: see `scan`."""
        return scan(self, stretches)

    @asynccontextmanager
    async def reader(self, partitions: list[TopicPartition], **options: Any) -> AsyncIterator[Reader]:
        """A consumer of these partitions that belongs to no group, for the length of the context.

        Raises:
            KafkaFailedError: inside of the context, for every error of the client there.
        """
        read_all_batches()
        reader = Reader(
            **await connection_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="none",
            request_timeout_ms=10_000,
            **options,
        )
        reader.assign(partitions)
        try:
            with translated():
                await reader.start()
                yield reader
        finally:
            await stop_within(reader, _STOP_SECONDS)


@contextmanager
def translated() -> Iterator[None]:
    """Translate errors of Kafka's client, including those of its sockets, into an error that names them."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaFailedError(type(error).__name__) from error
