"""Committing positions to Kafka for other tools. These commits may fail or be late; nothing depends on them."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from reelsync.consumer.observer import Observer
from reelsync.consumer.records import Partition

_FINISH_SECONDS = 5.0
_REST_SECONDS = 0.5
"""The pause between two requests, because each is a write to a log of the brokers."""

_log = structlog.get_logger("reelsync.source")


class OffsetCommits:
    """Commits in the background, one request at a time. Positions that come meanwhile are in the next request."""

    _member: AIOKafkaConsumer
    """The latest that positions were added for: a new membership may find the task of the one before."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._waiting: dict[Partition, int] = {}
        self._running: asyncio.Task[None] | None = None
        self._finishing = asyncio.Event()

    def add(self, member: AIOKafkaConsumer, positions: Mapping[Partition, int]) -> None:
        """Commit these positions soon. The member owns their partitions."""
        self._member = member
        self._waiting.update(positions)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._commit())

    async def finish(self) -> None:
        """Send the waiting positions, wait for a short time, and forget the rest.

        This is called before partitions are given back. A request that reaches the broker while the group is being
        formed again is refused for its old generation, and aiokafka answers that with another rebalance.
        """
        self._finishing.set()
        try:
            if self._running is not None:
                await asyncio.wait({self._running}, timeout=_FINISH_SECONDS)
        finally:
            self._waiting.clear()
            self._finishing.clear()

    async def _commit(self) -> None:
        while self._waiting:
            await self._send()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), _REST_SECONDS)

    async def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        member = self._member
        owned = {Partition(*tp) for tp in member.assignment()}
        offsets = {TopicPartition(*p): offset for p, offset in waiting.items() if p in owned}
        if not offsets:
            return
        try:
            # Without a time limit here: aiokafka would continue after a cancellation, and its error would only go into
            # the log. It ends with the membership.
            await member.commit(offsets)
        except Exception as error:  # noqa: BLE001 - nothing depends on it: the positions are in PostgreSQL
            self._observer.kafka_commit_failed()
            _log.debug("kafka_commit.failed", error=type(error).__name__)
