"""A clock that leaves out the time in which the process stood still, by clocks that the test turns."""

import pytest

from reelsync.consumer.health.event_loop_lag import Heartbeat
from reelsync.consumer.health.running_clock import RunningClock


class Machine:
    """A process whose thread wakes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.worked = 10.0
        monkeypatch.setattr("reelsync.consumer.health.running_clock.threading.Thread.start", lambda _: None)
        self.clock = RunningClock(lambda: self.now, lambda: self.worked)
        self.clock.start()

    def run(self, seconds: float) -> None:
        """The thread wakes as it should."""
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            self.clock._tick()

    def stand_still(self, seconds: float, worked: float = 0.0) -> None:
        """No thread runs."""
        self.now += seconds
        self.worked += worked


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_while_the_process_runs_it_is_the_other_clock(machine: Machine) -> None:
    began = machine.clock()
    machine.run(60)
    assert machine.clock() - began == pytest.approx(60)


@pytest.mark.parametrize("thread_wakes_first", [True, False])
def test_a_stop_counts_as_a_second_whoever_wakes_first(machine: Machine, *, thread_wakes_first: bool) -> None:
    began = machine.clock()
    for _ in range(3):
        machine.stand_still(40)
        if thread_wakes_first:
            machine.clock._tick()
        told = machine.clock()
        machine.clock._tick()
        assert machine.clock() == pytest.approx(told)
    assert machine.clock() - began == pytest.approx(3)


def test_a_calculation_that_lets_no_thread_run_counts(machine: Machine) -> None:
    began = machine.clock()
    machine.stand_still(40, worked=39)
    assert machine.clock() - began == pytest.approx(40)
    machine.clock._tick()
    assert machine.clock() - began == pytest.approx(40)


def test_a_loop_that_is_blocked_beside_a_thread_that_runs_counts(machine: Machine) -> None:
    heartbeat = Heartbeat(machine.clock)
    machine.run(31)
    assert heartbeat.held() == pytest.approx(30.75)


def test_a_loop_whose_process_was_stopped_was_not_blocked(machine: Machine) -> None:
    heartbeat = Heartbeat(machine.clock)
    machine.stand_still(45)
    assert heartbeat.held() == 0
    heartbeat.beat()
    machine.clock._tick()
    assert heartbeat.held() == 0


def test_once_it_is_stopped_it_runs_on(machine: Machine) -> None:
    machine.clock.stop()
    began = machine.clock()
    machine.clock._tick()
    machine.stand_still(40)
    assert machine.clock() - began == pytest.approx(40)
