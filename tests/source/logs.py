"""What the loop relies on whatever a log holds: control records, gaps, large records, records that are gone."""

import pytest

from .rig import Reading, Rig, reading

_LARGE_BYTES = 1_700_000
"""More than a fetch of all partitions together asks for."""


async def aborted_records_and_markers_are_passed(rig: Rig) -> None:
    await rig.publish(0, 2)
    for commit in (False, True, False):
        await rig.begin_transaction(0, 3)
        await rig.end_transaction(commit=commit)
    async with reading(rig) as member:
        await member.reach({rig.place(0): 2 + 3 * 4})
        assert member.taken[rig.place(0)] == [0, 1, 6, 7, 8]
        assert member.source.lags()[rig.place(0)] == 0
        for poll in member.polls:
            rig.positions.store(poll)


async def a_log_of_aborted_records_alone_is_passed(rig: Rig) -> None:
    """A position moves, and no record comes."""
    await rig.begin_transaction(0, 3)
    await rig.end_transaction(commit=False)
    async with reading(rig) as member:
        await member.reach({rig.place(0): 4})
        assert member.taken == {}
        assert [poll.spans[rig.place(0)].next for poll in member.polls if poll.spans][-1] == 4


async def nothing_is_read_past_an_open_transaction(rig: Rig) -> None:
    await rig.publish(0, 2)
    await rig.begin_transaction(0, 3)
    await rig.publish(0, 2)
    async with reading(rig) as member:
        assert await member.take(2) == [0, 1]
        for _ in range(3):
            assert (await member.poll()).spans == {}
        assert member.source.lags()[rig.place(0)] == 0
        await rig.end_transaction(commit=True)
        assert await member.take(5) == [2, 3, 4, 5, 6]


async def a_position_in_a_gap_is_read_from_the_next_record_on(rig: Rig) -> None:
    end = await rig.compact(0, 12)
    rig.positions.move(rig.place(0), 3)
    async with reading(rig) as member:
        await member.reach({rig.place(0): end})
        taken = member.taken[rig.place(0)]
        assert taken[0] >= 11
        assert taken[-1] == end - 1
        starts = [poll.spans[rig.place(0)].start for poll in member.polls if poll.spans]
        assert starts[0] == 3
        assert not member.source.halted


async def a_record_larger_than_a_fetch_comes_whole(rig: Rig) -> None:
    """In every partition, because a broker treats the first one of an answer in another way."""
    for number in range(3):
        await rig.publish(number, 1)
        await rig.publish(number, 1, _LARGE_BYTES)
        await rig.publish(number, 1)
    async with reading(rig) as member:
        await member.take(9)
        assert member.taken == {rig.place(number): [0, 1, 2] for number in range(3)}
        large = [record for poll in member.polls for record in poll.records if record.offset == 1]
        assert [len(record.value or b"") for record in large] == [_LARGE_BYTES] * 3


async def a_log_that_loses_the_position_while_it_is_read_halts_alone(rig: Rig) -> None:
    """The client must not go on from an offset of its own choice."""
    await rig.publish(0, 5)
    async with reading(rig) as member:
        await member.settle(3)
        await lose_what_is_read_next(rig, member)
        await rig.publish(1, 5)
        while rig.place(0) not in member.source.halted:
            await member.poll()
        await member.reach({rig.place(1): 5})
        assert member.source.halted[rig.place(0)].reason == "retention"


async def lose_what_is_read_next(rig: Rig, member: Reading) -> None:
    """Delete it again and again: a fetch that was under way may have brought it already."""
    for end in range(10, 200, 5):
        member.source.fetch_only(())
        await rig.publish(0, 5)
        await rig.delete_before(0, end)
        while member.source.positions.get(rig.place(0), end) != end:
            rig.positions.store(await member.poll())
        if rig.place(0) not in member.places:
            return
    pytest.fail("no fetch was out of range")


CLAUSES = (
    aborted_records_and_markers_are_passed,
    a_log_of_aborted_records_alone_is_passed,
    nothing_is_read_past_an_open_transaction,
    a_position_in_a_gap_is_read_from_the_next_record_on,
    a_record_larger_than_a_fetch_comes_whole,
    a_log_that_loses_the_position_while_it_is_read_halts_alone,
)
