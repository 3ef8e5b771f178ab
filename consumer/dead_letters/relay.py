"""Sends newly parked dead letters to a Kafka topic, for tools that read topics.

Each letter is sent at least once, with the key of the record: it is marked when the topic has acknowledged it, so after
a crash in between it is sent again. What was acknowledged is marked even if the rest fails, and a letter that the topic
refuses in every form is left out, so neither blocks the letters after it. The relay has its own producer and does not
delay consumption.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import KafkaFailedError
from reelsync.consumer.kafka.producer import RefusedError, TopicProducer
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe
from reelsync.consumer.settings import KafkaSettings

from .relay_messages import Message, mark_relayed, message_of, shorter_forms, unrelayed
from .table import LetterKey, has_turn

_SEND_SECONDS = 10.0
"""Well below DATABASE__IDLE_IN_TRANSACTION_TIMEOUT: the transaction that has the turn waits for it."""
_LOOK_SECONDS = 15.0

_log = structlog.get_logger("reelsync.relay")


@dataclass
class _Done:
    """Letters to mark, and how many of them the topic acknowledged."""

    letters: list[LetterKey] = field(default_factory=list)
    acknowledged: int = 0


@dataclass
class KafkaRelay:
    """Relays the letters of one group to `topic`. `count` is called with the number of those that were acknowledged."""

    engine: AsyncEngine
    group: str
    kafka: KafkaSettings
    topic: str
    count: Callable[[int], None] = lambda _: None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process parks a letter. Letters that others parked are found every 15 seconds."""

    def __post_init__(self) -> None:
        self._producer = TopicProducer(self.kafka, self.topic)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`, waiting out outages of either server."""
        backoff = Backoff()
        try:
            while not stop.is_set():
                self.wake.clear()
                try:
                    relayed = await self.relay_some()
                except Exception as error:
                    if classify(error) is Verdict.BUG and not isinstance(error, KafkaFailedError):
                        raise
                    _log.warning("relay.failed", topic=self.topic, error=describe(error))
                    await self._producer.close()
                    await backoff.wait()
                    continue
                backoff.reset()
                if not relayed:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), _LOOK_SECONDS)
        finally:
            await self._producer.close()

    async def relay_some(self) -> int:
        """Send some letters, and mark those that were acknowledged or left out; returns how many.

        Raises:
            Exception: brokers or database failed; what the brokers had acknowledged before is marked.
        """
        done = _Done()
        failure: Exception | None = None
        async with self.engine.connect() as connection:
            if not await has_turn(connection, self.group, "relay", "dead_letters.relay_turn"):
                return 0
            letters = await unrelayed(connection, self.group)
            if not letters:
                return 0
            try:
                await self._send([message_of(self.group, letter) for letter in letters], done)
            except Exception as error:  # noqa: BLE001 - raised below, after what was sent is marked
                failure = error
            if done.letters:
                await mark_relayed(connection, self.group, done.letters)
                await connection.commit()
        self.count(done.acknowledged)
        # Slow brokers are not a failure: the next round continues after the letters that this one has marked.
        if failure is not None and not (isinstance(failure, TimeoutError) and done.letters):
            raise failure
        return len(done.letters)

    async def _send(self, messages: Sequence[Message], done: _Done) -> None:
        # Its own time limit, because without brokers the producer may wait for ever (aiokafka#1101). One at a time:
        # if one is refused, so are all that were sent with it.
        async with asyncio.timeout(_SEND_SECONDS):
            for message in messages:
                done.acknowledged += await self._send_one(message)
                done.letters.append(message.letter)

    async def _send_one(self, message: Message) -> bool:
        """Send the letter in the first form that the topic accepts. Whether it accepted one."""
        refusal: RefusedError | None = None
        # Kafka allows records without key and value, but aiokafka does not send them.
        whole = [message] if message.key is not None or message.value is not None else []
        for form in (*whole, *shorter_forms(message)):
            try:
                await self._producer.send(form.key, form.value, form.headers)
            except RefusedError as error:
                refusal = error
            else:
                return True
        _log.warning(
            "relay.passed_over",
            topic=self.topic,
            letter=str(message.letter),
            error=refusal and describe(refusal),
        )
        return False
