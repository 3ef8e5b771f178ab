"""Where logs begin and end, when some leaders answer and others do not: by a reader that does as the test says."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from reelsync.consumer.errors import UnavailableError
from reelsync.consumer.kafka import survey as module
from reelsync.consumer.kafka.reader import Topic
from reelsync.consumer.kafka.survey import Bounds, Survey, survey
from reelsync.consumer.records import Partition

P0, P1, P2, P3 = (Partition("videos", number) for number in range(4))
TOPICS = {"videos": Topic(4, "id", {0: 1, 1: 2, 2: 3}), "hidden": Topic(0, None, refused=True)}
KNOWN = Bounds(3, 9, 7, "id")


class Reader:
    """Leaders of these numbers fall silent, fail, or give nothing of their partitions to this user."""

    def __init__(self, silent: Collection[int] = (), failing: Collection[int] = (), forbidden: Collection[int] = ()):
        self.silent, self.failing, self.forbidden = silent, failing, forbidden
        self.moved: set[int] = set()
        """Partitions that their leader leads no more: a question with one of them is repeated without an end."""
        self.failures: dict[TopicPartition, KafkaError] = {}
        self.fetched: set[TopicPartition] = set()

    def assign(self, _tps: Any) -> None: ...
    def pause(self, *_tps: Any) -> None: ...
    def resume(self, _tp: Any) -> None: ...
    def seek(self, _tp: Any, _offset: int) -> None: ...

    async def _answer(self, tps: list[TopicPartition], offset: int) -> dict[TopicPartition, int]:
        leaders = {TOPICS["videos"].leaders[tp.partition] for tp in tps}
        assert len(leaders) == 1, "one question for each leader"
        if leaders & set(self.silent) or self.moved & {tp.partition for tp in tps}:
            await asyncio.Event().wait()
        if leaders & set(self.failing):
            raise KafkaConnectionError
        return dict.fromkeys(tps, offset)

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._answer(tps, 3)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._answer(tps, 6)

    async def getmany(self, *tps: TopicPartition, timeout_ms: int) -> dict[Any, Any]:
        await asyncio.sleep(timeout_ms / 10_000)
        for tp in tps:
            if TOPICS["videos"].leaders[tp.partition] in self.forbidden:
                self.failures[tp] = TopicAuthorizationFailedError(tp.topic)
            else:
                self.fetched.add(tp)
        return {}

    def highwater(self, tp: TopicPartition) -> int | None:
        return 9 if tp in self.fetched else None

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        return 7 if tp in self.fetched else None


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STRAGGLER_SECONDS", 0.05)
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(module, "_TOGETHER_SECONDS", 0.05)


async def found(reader: Any, *partitions: Partition) -> Survey:
    return await survey(reader, partitions or (P0, P1, P2), TOPICS)


async def test_all_that_answer_are_known() -> None:
    everything = await found(Reader())
    assert everything == Survey(dict.fromkeys((P0, P1, P2), KNOWN), {})
    assert everything.whole() == dict.fromkeys((P0, P1, P2), KNOWN)


@pytest.mark.parametrize(
    ("reader", "trouble"),
    [
        (Reader(silent=[2]), "no_answer"),
        (Reader(failing=[2]), "no_answer"),
        (Reader(forbidden=[2]), "not_authorized"),
    ],
    ids=["silent", "failing", "forbidden"],
)
async def test_one_leader_that_gives_nothing_holds_up_nobody(reader: Reader, trouble: str) -> None:
    assert await found(reader) == Survey({P0: KNOWN, P2: KNOWN}, {P1: trouble})


async def test_partitions_without_a_leader_and_topics_that_may_not_be_seen_are_not_asked_for() -> None:
    hidden, gone = Partition("hidden", 0), Partition("videos", 4)
    some = await found(Reader(), P0, P3, hidden, gone, Partition("deleted", 0))
    assert some == Survey({P0: KNOWN}, {P3: "no_leader", hidden: "not_authorized"})
    with pytest.raises(UnavailableError, match="hidden/0 may not be read by this user, and 1 more like it"):
        some.whole()


@pytest.mark.parametrize("reader", [Reader(failing=[1, 2, 3]), Reader(silent=[1], failing=[2, 3])])
async def test_if_nobody_answers_it_is_an_error(reader: Reader) -> None:
    with pytest.raises((KafkaError, TimeoutError)):
        await found(reader)


async def test_nothing_to_ask_for_needs_no_answer() -> None:
    assert await found(Reader(failing=[1, 2, 3]), P3) == Survey({}, {P3: "no_leader"})


@pytest.mark.parametrize("soon", [True, False])
async def test_a_partition_that_has_just_lost_its_leader_holds_up_none_of_the_same_leader(
    monkeypatch: pytest.MonkeyPatch, *, soon: bool
) -> None:
    monkeypatch.setitem(TOPICS, "videos", Topic(3, "id", {0: 1, 1: 1, 2: 1}))
    reader: Any = Reader()
    reader.moved.add(1)
    if soon:
        seen = await survey(reader, (P0, P1, P2), TOPICS, soon=True)
        assert (seen.bounds, seen.troubles) == ({P0: KNOWN, P2: KNOWN}, {P1: "no_answer"})
    else:
        with pytest.raises(KafkaError):
            await survey(reader, (P0, P1, P2), TOPICS)
