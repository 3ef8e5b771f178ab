"""What the loop relies on while members come and go."""

import asyncio

from .rig import PARTITIONS, Reading, Rig, polling, reading, share


async def partitions_are_drained_before_another_member_reads_them(rig: Rig) -> None:
    """What was taken can be stored until then. So nothing comes again after a rebalance."""
    for number in range(PARTITIONS):
        await rig.publish(number, 10)
    async with reading(rig) as first, reading(rig) as second:
        await first.take(PARTITIONS * 10)
        before, draining, drained = first.source.epoch, asyncio.Event(), asyncio.Event()

        async def drain() -> None:
            draining.set()
            await drained.wait()
            for poll in first.polls:
                rig.positions.store(poll)
            first.source.drain = None

        first.source.drain = drain
        async with polling(first, second):
            async with asyncio.timeout(60):
                await draining.wait()
            assert first.source.epoch == before
            assert not second.source.positions
            drained.set()
            await share(first, second)
            assert first.source.epoch > before
            for number in range(PARTITIONS):
                await rig.publish(number, 5)
        await first.reach(dict.fromkeys(first.places, 15))
        await second.reach(dict.fromkeys(second.places, 15))
        everything = {rig.place(number): list(range(15)) for number in range(PARTITIONS)}
        later = {place: offsets for place, offsets in second.taken.items() if place in second.places}
        assert first.taken | {place: list(range(10)) + offsets for place, offsets in later.items()} == everything


async def what_was_not_stored_before_a_rebalance_comes_again(rig: Rig) -> None:
    for number in range(PARTITIONS):
        await rig.publish(number, 10)
    async with reading(rig) as first:
        await first.take(PARTITIONS * 10)
        async with reading(rig) as second:
            first.polls.clear()
            async with polling(first, second):
                await share(first, second)
            await first.reach(dict.fromkeys(first.places, 10))
            await second.reach(dict.fromkeys(second.places, 10))
            for member in (first, second):
                assert all(member.taken[place][-10:] == list(range(10)) for place in member.places)


async def a_member_that_leaves_reads_nothing_and_another_reads_all(rig: Rig) -> None:
    await rig.publish(0, 10)
    async with reading(rig) as first, reading(rig) as second:
        async with polling(first, second):
            await share(first, second)
        before = first.source.epoch
        await first.source.leave()
        assert (first.source.positions, first.source.epoch > before) == ({}, True)
        await second.settle(PARTITIONS)


async def a_halted_partition_is_not_read_after_a_rebalance_either(rig: Rig) -> None:
    """A rebalance forgets what is paused."""
    for number in range(PARTITIONS):
        await rig.publish(number, 5)
    rig.positions.move(rig.place(0), 1_000)
    async with reading(rig) as first:
        await first.take((PARTITIONS - 1) * 5)
        for poll in first.polls:
            rig.positions.store(poll)
        async with reading(rig) as second, polling(first, second):
            await halted_once(first, second)
        await first.settle(PARTITIONS - 1)
        await rig.publish(0, 5)
        await rig.publish(1, 5)
        assert await first.take(5) == list(range(5, 10))
        assert rig.place(0) not in first.taken
        assert {place: halt.reason for place, halt in first.source.halted.items()} == {rig.place(0): "truncated"}


async def halted_once(*members: Reading) -> None:
    """Wait until the members share what can be read, and one of them has halted the rest."""
    async with asyncio.timeout(60):
        while True:
            halted = [place for member in members for place in member.source.halted]
            read = [place for member in members for place in member.places]
            if len(halted) == 1 and len(read) == PARTITIONS - 1 and all(m.source.settled for m in members):
                return
            await asyncio.sleep(0.02)


CLAUSES = (
    partitions_are_drained_before_another_member_reads_them,
    what_was_not_stored_before_a_rebalance_comes_again,
    a_member_that_leaves_reads_nothing_and_another_reads_all,
    a_halted_partition_is_not_read_after_a_rebalance_either,
)
