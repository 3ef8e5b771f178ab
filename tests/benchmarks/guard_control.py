"""The negative control of `make bench-guard`, by name: pytest does not collect it, for nothing may run beside it."""

import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.assignment import Assignment, Launch
from benchmarks.guard import LIMITS, faults, guard, ratios

_SLOWED = str(Path(__file__).with_name("slowed_consumer.py"))


@pytest.mark.timeout(600)
async def test_a_consumer_that_needs_a_third_more_cpu_fails_the_guard() -> None:
    """The negative control: a quarter of the rate is lost where the consumer's CPU is the limit."""
    contender = CONTENDERS["reelsync-1"]

    def launches(assignment: Assignment) -> list[Launch]:
        (launch,) = contender.launches(assignment)
        return [launch._replace(command=[sys.executable, _SLOWED, *launch.command[3:]])]

    rounds = await guard(contender._replace(launches=launches), events=30_000, rounds=3)
    assert [fault.startswith(LIMITS["client"].of) for fault in faults(rounds)] == [True], ratios(rounds)
