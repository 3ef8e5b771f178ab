"""Watching the brokers of a member: whether they have stopped answering, or say that a topic is another one now."""

import time
from collections.abc import Collection, Iterable

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from reelsync.consumer.kafka.clients import Member
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.check import Halt, remedy, unknown
from reelsync.consumer.records import Partition

from .broker_silence import Silence

_LOOK_SECONDS = 1.0
_LEAST_SILENCE_SECONDS = 5.0

_log = structlog.get_logger("reelsync.source")


class BrokerWatch:
    """Watches the brokers of one member after another. `limit`: seconds after which silence is too long."""

    def __init__(self, log: KafkaLog, limit: float) -> None:
        self._kafka_log = log
        self._silence = Silence(max(_LEAST_SILENCE_SECONDS, limit))
        self._next_look_at_refusals = self._next_look_at_leaders = 0.0
        self.leaderless: dict[Partition, Halt] = {}
        """Partitions that are read, and have lost their leader."""

    async def listen(self, member: Member, partitions: Iterable[Partition], waited: float, *, heard: bool) -> None:
        """Give up a membership whose brokers have stopped answering: a new one finds them again, or reports why not.

        Args:
            member: The member that polled.
            partitions: What it reads.
            waited: How long the poll waited, in seconds.
            heard: Whether the poll brought records.

        Raises:
            KafkaTimeoutError: they have stopped answering.
            UnavailableError: they do not answer to a new connection either.
            MisconfiguredError: they refuse the connection, or we refuse theirs.
        """
        if heard:
            self._silence.broken()
            return
        reading = member.assignment() & {TopicPartition(*partition) for partition in partitions}
        answers = {Partition(*tp): member.last_poll_timestamp(tp) for tp in reading}
        if self._silence.waited(waited, answers):
            _log.warning(
                "brokers.silent", fix="see whether they and the network are up; the consumer joins its group again"
            )
            await self._kafka_log.cluster()
            raise KafkaTimeoutError

    def look_at_leaders(self, member: Member, partitions: Collection[Partition]) -> None:
        """Note which of the partitions that are read have no leader, at most once a second. The others are read on."""
        if time.monotonic() < self._next_look_at_leaders:
            return
        self._next_look_at_leaders = time.monotonic() + _LOOK_SECONDS
        now = {partition: unknown(partition, "no_leader") for partition in member.without_leader(partitions)}
        for partition in sorted(now.keys() - self.leaderless.keys()):
            why = now[partition]
            fix = remedy(partition, why)
            _log.warning("partition.waiting", partition=str(partition), reason=why.reason, why=why.message, fix=fix)
        for partition in sorted(self.leaderless.keys() - now.keys()):
            _log.info("partition.resumed", partition=str(partition))
        self.leaderless = now

    def topics_changed(self, member: Member) -> bool:
        """Whether a broker says that a topic is not the one that was read. True at most once a second."""
        if not member.refused or time.monotonic() < self._next_look_at_refusals:
            return False
        self._next_look_at_refusals = time.monotonic() + _LOOK_SECONDS
        return True
