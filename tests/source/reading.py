"""What the loop relies on while nobody else joins: positions, limits, pauses, failures, cancellation, silence."""

import asyncio
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from aiokafka.errors import NotLeaderForPartitionError

from reelsync.consumer.errors import KafkaFailedError, UnavailableError

from .rig import PARTITIONS, Reading, Rig, reading

TURNS = (1, 5, 20, 60, 150, 400)
"""Turns of the event loop before a poll is cancelled: before, while and after it joins the group."""


async def reading_begins_where_it_is_stored_whatever_kafka_was_told(rig: Rig) -> None:
    await rig.publish(0, 10)
    async with reading(rig) as first:
        assert await first.take(10) == list(range(10))
        first.source.commit_later({rig.place(0): 8})
    rig.positions.move(rig.place(0), 4)
    async with reading(rig) as second:
        assert await second.take(6) == list(range(4, 10))


async def each_record_comes_once_and_in_order_and_no_poll_is_too_large(rig: Rig) -> None:
    for number in range(PARTITIONS):
        await rig.publish(number, 30)
    async with reading(rig) as member:
        await member.take(PARTITIONS * 30, at_most=7)
        assert member.taken == {rig.place(number): list(range(30)) for number in range(PARTITIONS)}
        for poll in member.polls:
            rig.positions.store(poll)
        await rig.publish(1, 5)
        assert await member.take(5) == list(range(30, 35))


async def a_poll_without_records_ends(rig: Rig) -> None:
    async with reading(rig) as member:
        await member.settle(PARTITIONS)
        poll = await member.poll()
        assert (poll.records, poll.spans) == ([], {})


async def what_is_left_out_of_a_poll_stays_for_later(rig: Rig) -> None:
    for number in range(PARTITIONS):
        await rig.publish(number, 20)
    async with reading(rig) as member:
        await member.settle(PARTITIONS)
        await member.take(20, partitions=[rig.place(1)])
        assert member.taken == {rig.place(1): list(range(20))}
        member.source.fetch_only(())
        await member.take(10, partitions=[rig.place(2)])
        member.source.fetch_only([rig.place(0)])
        await member.take(30)
        assert member.taken == {rig.place(number): list(range(20)) for number in range(PARTITIONS)}


async def lags_are_what_is_left(rig: Rig) -> None:
    await rig.publish(0, 10)
    async with reading(rig) as member:
        await member.take(3)
        assert member.source.lags()[rig.place(0)] == 7


async def what_was_not_stored_comes_again_after_forgetting(rig: Rig) -> None:
    await rig.publish(0, 10)
    async with reading(rig) as member:
        await member.take(4, at_most=4)
        for poll in member.polls:
            rig.positions.store(poll)
        await member.take(4)
        before = member.source.epoch
        member.source.forget()
        assert member.source.epoch > before
        assert await member.take(6) == list(range(4, 10))


async def a_poll_that_fails_has_taken_nothing(rig: Rig) -> None:
    """The client may have moved past records that nobody got."""
    lost: list[Any] = []
    getmany = rig.reader.getmany

    async def failing(*arguments: Any, **options: Any) -> Any:
        taken = await getmany(*arguments, **options)
        if not taken:
            return taken
        lost.append(taken)
        raise NotLeaderForPartitionError

    await rig.publish(0, 10)
    async with reading(rig) as member:
        await member.take(2, at_most=2)
        for poll in member.polls:
            rig.positions.store(poll)
        with mock.patch.object(rig.reader, "getmany", failing), pytest.raises(KafkaFailedError):
            await member.take(8)
        assert lost
        assert await member.take(8) == list(range(2, 10))


async def a_poll_that_is_cancelled_has_taken_nothing(rig: Rig) -> None:
    await rig.publish(0, 10)
    cancelled = 0
    async with reading(rig) as member:
        for turns in TURNS:
            polling = asyncio.ensure_future(member.poll())
            for _ in range(turns):
                await asyncio.sleep(0)
            cancelled += polling.cancel()
            with suppress(asyncio.CancelledError):
                rig.positions.store(await polling)
        assert cancelled > 1
        await member.reach({rig.place(0): 10})
        assert member.taken[rig.place(0)] == list(range(10))


async def brokers_that_fall_silent_are_an_error_and_no_empty_log(rig: Rig) -> None:
    await rig.publish(0, 5)
    async with reading(rig) as member:
        await member.take(5)
        for poll in member.polls:
            rig.positions.store(poll)
        async with rig.silence(), asyncio.timeout(120):
            with pytest.raises((KafkaFailedError, UnavailableError)):
                await poll_without_end(member)
        await rig.publish(0, 5)
        assert await member.take(5) == list(range(5, 10))


async def poll_without_end(member: Reading) -> None:
    while True:
        await member.poll()


CLAUSES = (
    reading_begins_where_it_is_stored_whatever_kafka_was_told,
    each_record_comes_once_and_in_order_and_no_poll_is_too_large,
    a_poll_without_records_ends,
    what_is_left_out_of_a_poll_stays_for_later,
    lags_are_what_is_left,
    what_was_not_stored_comes_again_after_forgetting,
    a_poll_that_fails_has_taken_nothing,
    a_poll_that_is_cancelled_has_taken_nothing,
    brokers_that_fall_silent_are_an_error_and_no_empty_log,
)
