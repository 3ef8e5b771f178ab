"""Where the logs of partitions begin and end, asked of each leader on its own: who does not answer holds up nobody."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError

from reelsync.consumer.errors import UnavailableError
from reelsync.consumer.records import Partition

from .reader import Reader, Topic

_ANSWER_SECONDS = 15.0
_STRAGGLER_SECONDS = 1.0
"""How long a leader is waited for once another one has answered."""
_TOGETHER_SECONDS = 0.5
"""How long a leader that was asked about several partitions is waited for, if the answer is needed soon."""

Trouble = Literal["no_leader", "no_answer", "not_authorized", "changed"]
"""Why nothing is known of a log. It can have changed only while it is being read."""
_WORDS: Mapping[Trouble, str] = {
    "no_leader": "has no leader",
    "no_answer": "has a leader that does not answer",
    "not_authorized": "may not be read by this user",
    "changed": "was created again",
}


class Bounds(NamedTuple):
    """A log: its first offset, its end, and the end of what may be read. Open transactions lie between these two.

    `topic_id` is None from brokers without ids.
    """

    begin: int
    end: int
    readable: int
    topic_id: str | None = None


class Survey(NamedTuple):
    """The bounds of the partitions that exist, or why they are not known."""

    bounds: Mapping[Partition, Bounds]
    troubles: Mapping[Partition, Trouble]

    def whole(self) -> Mapping[Partition, Bounds]:
        """The bounds, if all are known.

        Raises:
            UnavailableError: they are not.
        """
        if self.troubles:
            partition, trouble = min(self.troubles.items())
            more = f", and {len(self.troubles) - 1} more like it" if len(self.troubles) > 1 else ""
            raise UnavailableError(f"{partition} {_WORDS[trouble]}{more}: see the brokers")
        return self.bounds


def is_there(partition: Partition, topics: Mapping[str, Topic]) -> bool:
    """Whether these topics have the partition."""
    return partition.topic in topics and partition.number < topics[partition.topic].partitions


async def survey(
    reader: Reader, partitions: Collection[Partition], topics: Mapping[str, Topic], *, soon: bool = False
) -> Survey:
    """Ask for the bounds of those of the partitions that the topics have. The reader must see committed records only.

    aiokafka repeats a question about several partitions until all have an answer, so one whose leader has just gone
    holds up the others. If the answer is needed `soon`, a leader is then asked about each partition on its own.

    Raises:
        KafkaError: no leader answered.
    """
    troubles: dict[Partition, Trouble] = {}
    by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
    for partition in partitions:
        topic = topics.get(partition.topic)
        if topic and topic.refused:
            troubles[partition] = "not_authorized"
        elif topic and is_there(partition, topics):
            if (leader := topic.leaders.get(partition.number)) is None:
                troubles[partition] = "no_leader"
            else:
                by_leader[leader].append(TopicPartition(*partition))
    assigned = [tp for tps in by_leader.values() for tp in tps]
    reader.assign(assigned)
    reader.pause(*assigned)
    for tp in assigned:
        # Without a position aiokafka would ask for one, and note a failure.
        reader.seek(tp, 0)
    found = await _bounds_of(reader, list(by_leader.values()), soon=soon)
    bounds = {place: log._replace(topic_id=topics[place.topic].topic_id) for place, log in found.items()}
    troubles |= {Partition(*tp): _trouble(reader, tp) for tp in assigned if Partition(*tp) not in bounds}
    return Survey(bounds, troubles)


def _trouble(reader: Reader, tp: TopicPartition) -> Trouble:
    return "not_authorized" if isinstance(reader.failures.get(tp), TopicAuthorizationFailedError) else "no_answer"


async def _bounds_of(reader: Reader, by_leader: list[list[TopicPartition]], *, soon: bool) -> dict[Partition, Bounds]:
    """What the leaders say.

    Raises:
        KafkaError: none answered.
    """
    is_short = soon and any(len(tps) > 1 for tps in by_leader)
    answers = await _answers(reader, by_leader, _TOGETHER_SECONDS if is_short else _ANSWER_SECONDS)
    silent = [tps for tps, answer in zip(by_leader, answers, strict=True) if isinstance(answer, KafkaError)]
    if is_short and silent:
        seconds = _ANSWER_SECONDS if len(silent) == len(by_leader) else _STRAGGLER_SECONDS
        answers += await _answers(reader, [[tp] for tps in silent for tp in tps], seconds)
    bounds: dict[Partition, Bounds] = {}
    for answer in answers:
        bounds |= answer if isinstance(answer, dict) else {}
    errors = [answer for answer in answers if isinstance(answer, KafkaError)]
    if errors and len(errors) == len(answers):
        raise errors[0]
    return bounds


async def _answers(
    reader: Reader, groups: Sequence[list[TopicPartition]], seconds: float
) -> list[dict[Partition, Bounds] | KafkaError]:
    """The answer for each group of partitions. Once one is there, the others are not waited for much longer."""
    asked = [asyncio.create_task(_bounds(reader, tps)) for tps in groups]
    try:
        with suppress(TimeoutError):
            for first in asyncio.as_completed(asked, timeout=seconds):
                if not isinstance(await first, KafkaError):
                    await asyncio.wait(asked, timeout=min(seconds, _STRAGGLER_SECONDS))
                    break
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return [KafkaTimeoutError() if task.cancelled() else task.result() for task in asked]


async def _bounds(reader: Reader, tps: list[TopicPartition]) -> dict[Partition, Bounds] | KafkaError:
    """What their leader says of these partitions, without those that may not be read."""
    try:
        begins, ends = await asyncio.gather(reader.beginning_offsets(tps), reader.end_offsets(tps))
        for tp in tps:
            reader.seek(tp, ends[tp])
            reader.resume(tp)
        while waiting := [tp for tp in tps if reader.last_stable_offset(tp) is None and tp not in reader.failures]:
            await reader.getmany(*waiting, timeout_ms=20)
    except KafkaError as error:
        return error
    found = {}
    for tp in tps:
        highwater, readable = reader.highwater(tp), reader.last_stable_offset(tp)
        if highwater is not None and readable is not None:
            # Not the answer to ListOffsets alone: the embedded broker answers with the *first* offset of the last batch
            # plus one, which would pass for a truncated log.
            found[Partition(*tp)] = Bounds(begins[tp], max(ends[tp], highwater), max(ends[tp], readable))
    return found
