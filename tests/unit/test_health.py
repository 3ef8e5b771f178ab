"""Live and ready, by a clock that the test turns."""

import pytest

from reelsync.consumer.health.event_loop_lag import Heartbeat
from reelsync.consumer.health.health import Health
from reelsync.consumer.health.probe import OpenTransaction, Probe, Reading
from reelsync.consumer.kafka.survey import Bounds, Survey, Trouble
from reelsync.consumer.records import Partition, Span
from reelsync.consumer.settings import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(stalled_seconds=100, blocked_seconds=30, clock=clock)


def pass_time(clock: Clock, health: Health, seconds: float) -> None:
    """Time passes in a loop that is not blocked."""
    for _ in range(round(seconds * 4)):
        clock.now += 0.25
        health.heartbeat.beat()


def test_silence_for_too_long_is_not_live(clock: Clock, health: Health) -> None:
    pass_time(clock, health, 100)
    assert health.not_live() == []
    pass_time(clock, health, 1)
    (reason,) = health.not_live()
    assert reason.startswith("no progress for 101 s")
    health.sign_of_life()
    assert health.not_live() == []


def test_failing_again_and_again_is_live(clock: Clock, health: Health) -> None:
    for _ in range(10):
        pass_time(clock, health, 90)
        health.failed("write", "TimeoutError", outage=True)
        assert health.not_live() == []
    assert health.backing_off["write"].attempts == 10
    pass_time(clock, health, 101)
    assert health.not_live() != [], "an attempt that never ends is being stuck too"


def test_servers_that_are_away_are_waited_for(clock: Clock, health: Health) -> None:
    for _ in range(10):
        pass_time(clock, health, 90)
        health.not_reached("kafka", "KafkaConnectionError")
        assert health.not_live() == []


def test_ready_needs_the_schema_the_partitions_and_both_servers(health: Health) -> None:
    assert len(health.not_ready(settled=False)) == 4
    health.schema_verified = True
    health.reached("postgresql")
    assert health.not_ready(settled=True) == ["kafka does not answer: not asked yet"]
    health.reached("kafka")
    assert health.not_ready(settled=True) == []
    assert len(health.not_ready(settled=False)) == 1


def test_an_outage_is_not_ready_and_a_deadlock_is(health: Health) -> None:
    health.schema_verified = True
    health.reached("postgresql")
    health.reached("kafka")
    health.failed("write", "SQLSTATE 40P01", outage=False)
    assert health.not_ready(settled=True) == []
    health.failed("write", "ConnectionRefusedError", outage=True)
    assert health.not_ready(settled=True) == ["write waits out an outage: ConnectionRefusedError"]
    health.recovered("write")
    assert health.not_ready(settled=True) == []


def test_being_held_adds_up_over_the_last_minute(clock: Clock) -> None:
    heartbeat = Heartbeat(clock)
    for _ in range(4):
        clock.now += 0.25 + 8
        heartbeat.beat()
    assert heartbeat.held() == pytest.approx(32)
    for _ in range(4 * 61):
        clock.now += 0.25
        heartbeat.beat()
    assert heartbeat.held() == 0


def test_a_busy_loop_is_not_a_blocked_one(clock: Clock) -> None:
    heartbeat = Heartbeat(clock)
    for _ in range(60):
        clock.now += 0.25 + 0.7
        heartbeat.beat()
    assert heartbeat.held() == 0


def test_being_held_now_counts_before_the_next_beat(clock: Clock, health: Health) -> None:
    clock.now += 31
    (reason,) = health.not_live()
    assert reason.startswith("the event loop was blocked for 31")


class Servers:
    """Both servers, as far as a probe asks them."""

    def __init__(self, positions: dict[Partition, int], ends: dict[Partition, int]) -> None:
        self.positions, self.ends = positions, ends
        self.end = 20
        self.troubles: dict[Partition, Trouble] = {}

    async def all_next_offsets(self) -> dict[Partition, int]:
        return self.positions

    async def survey(self, _partitions: object) -> Survey:
        return Survey({p: Bounds(0, self.end, end) for p, end in self.ends.items()}, self.troubles)


P0, P1, OTHER = Partition("videos", 0), Partition("videos", 1), Partition("not ours", 0)


@pytest.mark.parametrize(
    ("ends", "settled", "live"),
    [
        ({P0: 10}, True, True),
        ({P0: 11}, True, False),
        ({P0: 10}, False, False),
        ({}, True, False),
    ],
)
async def test_only_nothing_to_do_is_a_sign_of_life(
    clock: Clock, health: Health, ends: dict[Partition, int], settled: bool, live: bool
) -> None:
    servers = Servers({P0: 10, OTHER: 5}, ends)
    probe = Probe(servers.all_next_offsets, servers.survey, health, {"videos"}, lambda: Reading(1, settled, [P0]))
    await probe.ask()
    assert probe.positions == {P0: 10}
    pass_time(clock, health, 101)
    await probe.ask()
    assert (health.not_live() == []) is live
    probe.committed({P0: 11})
    assert health.not_live() == []


async def test_positions_that_go_back_are_read_again(health: Health) -> None:
    stored = {P0: 10}
    servers = Servers(stored, {P0: 40})
    reading = Reading(1, settled=True, partitions=[P0])
    probe = Probe(servers.all_next_offsets, servers.survey, health, {"videos"}, lambda: reading)
    await probe.ask()
    assert probe.read_again({P0: Span(10, 40)}) == 0
    probe.committed({P0: 30})
    stored[P0] = 5
    await probe.ask()
    assert probe.read_again({P0: Span(5, 40), OTHER: Span(0, 7)}) == 25


async def test_a_new_assignment_is_a_sign_of_life(clock: Clock, health: Health) -> None:
    epoch = 1
    servers = Servers({P0: 10}, {P0: 20})
    probe = Probe(
        servers.all_next_offsets,
        servers.survey,
        health,
        {"videos"},
        lambda: Reading(epoch, settled=True, partitions=[P0]),
    )
    await probe.ask()
    pass_time(clock, health, 101)
    epoch = 2
    await probe.ask()
    assert health.not_live() == []


async def test_a_leader_that_does_not_answer_hides_nothing_that_is_known(health: Health) -> None:
    servers = Servers({P0: 10, P1: 5}, {P0: 20, P1: 20})
    probe = Probe(
        servers.all_next_offsets,
        servers.survey,
        health,
        {"videos"},
        lambda: Reading(1, settled=True, partitions=[P0, P1]),
    )
    await probe.ask()
    servers.ends, servers.troubles = {P0: 20}, {P1: "no_answer"}
    await probe.ask()
    assert probe.lag([P0, P1]) == 25
    assert "kafka" not in health.unreachable


async def test_a_transaction_holds_a_partition_back_once_all_before_it_is_applied(clock: Clock, health: Health) -> None:
    servers = Servers({P0: 10}, {P0: 12})
    probe = Probe(
        servers.all_next_offsets, servers.survey, health, {"videos"}, lambda: Reading(1, settled=True, partitions=[P0])
    )
    await probe.ask()
    assert probe.open_transactions == {}, "there is something to read"
    servers.positions = {P0: 12}
    for seconds in (0, 7):
        clock.now += seconds
        await probe.ask()
        assert probe.open_transactions == {P0: OpenTransaction(12, 8, 1_000.0)}
    servers.ends = servers.positions = {P0: 15}
    await probe.ask()
    assert probe.open_transactions == {P0: OpenTransaction(15, 5, 1_007.0)}, "another transaction"
    servers.ends = {P0: 20}
    await probe.ask()
    assert probe.open_transactions == {}


def test_http_is_for_this_machine_unless_set() -> None:
    settings = Settings.model_validate({"database": {"url": "postgresql+asyncpg://localhost/x"}})
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
