"""The seeds that found a defect, and the tests of what they found.

With each change of the simulation a seed is another run. So each defect has a test of its cause as well.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.simulation.consumer import SETTINGS, simulated
from tests.simulation.member import SimulatedMember, join_as_process
from tests.simulation.scenario import Scenario, abandon, run_seed
from tests.simulation.world import PROCESS, Process, World

TESTS = Path(__file__).parents[1]
_HELD_UP = "unit/test_survey.py::test_a_partition_that_has_just_lost_its_leader_holds_up_none_of_the_same_leader"
FOUND: Mapping[int, str] = {
    64: "unit/test_assignment.py::test_a_member_whose_positions_were_forgotten_waits_for_its_group",
    205: "unit/test_look_ups.py::test_who_does_not_wait_goes_on_until_it_is_found",
    2762: "simulation/test_seeds.py::test_a_process_that_could_not_leave_is_a_member_until_its_session_ends",
    4667: _HELD_UP,
    4680: _HELD_UP,
    5935: _HELD_UP,
    11431: _HELD_UP,
    12275: _HELD_UP,
    15857: _HELD_UP,
    16860: "unit/test_assignment.py::test_nothing_is_settled_while_the_group_is_being_formed",
    17036: "unit/test_halts.py::test_from_an_earlier_position_it_goes_on_and_what_was_read_is_forgotten",
}
"""2762 found a defect of the simulation itself."""


@pytest.mark.parametrize("seed", FOUND)
def test_what_a_seed_found_does_not_come_again(seed: int) -> None:
    with simulated():
        assert run_seed(seed).violation is None


@pytest.mark.parametrize("place", sorted({*FOUND.values()}))
def test_what_a_seed_found_has_a_test_of_its_own(place: str) -> None:
    file, test = place.split("::")
    assert f"def {test}(" in (TESTS / file).read_text()


class Listener:
    """Is assigned partitions, and does nothing with them."""

    def on_partitions_assigned(self, _assigned: object) -> None: ...
    def on_partitions_revoked(self, _revoked: object) -> None: ...


def test_a_process_that_could_not_leave_is_a_member_until_its_session_ends() -> None:
    scenario = Scenario(World(1))
    members: list[SimulatedMember] = []

    async def join_and_end(process: Process, _stop: asyncio.Event) -> None:
        PROCESS.set(process)
        members.append(await join_as_process(SETTINGS, None))
        members[0].subscribe([], Listener())
        await members[0].start()
        while not members[0].assignment():
            await asyncio.sleep(1.0)

    async def run() -> None:
        await scenario.one_process()
        assert scenario.kafka.group.has(members[0])
        await asyncio.sleep(SETTINGS.session_timeout_ms / 1000)
        assert not scenario.kafka.group.has(members[0])

    scenario.world.calm = True
    scenario._consume = join_and_end  # type: ignore[method-assign]
    with simulated():
        scenario.world.clock.run_until_complete(run())
        abandon(scenario.world)
