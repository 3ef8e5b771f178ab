"""What happens to a consumer, and what must follow: the loop with a scripted log and a scripted database."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from reelsync.consumer.errors import FencedError, GroupRefusedError, HaltedError, KafkaFailedError, UnavailableError
from reelsync.consumer.observer import safe_observer
from tests.support.observing import Broken, RecordingObserver
from tests.support.scripted import COUNT, VIDEOS, Database, Log, consume, loop_of, refused_with


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Attempts follow one another at once, and the log is kept off the terminal: tracebacks take long to print."""
    monkeypatch.setattr("reelsync.consumer.backoff.random.uniform", lambda _least, _most: 0.0)
    with capture_logs():
        yield


OF_THE_DATABASE: dict[str, tuple[list[Any], list[str]]] = {
    "nothing": ([], []),
    "the database is away": ([ConnectionRefusedError()], ["write failed: outage"]),
    "it is away for long": ([ConnectionRefusedError()] * 5, ["write failed: outage"] * 5),
    "it is shut down": ([refused_with("57P01")], ["write failed: outage"]),
    "the reply to COMMIT is lost": (["lost reply"], ["write failed: outage"]),
    "a deadlock": ([refused_with("40P01")], ["write failed: again"]),
    "a statement takes too long": ([refused_with("57014")], ["write failed: halve"]),
    "an event is refused": ([refused_with("22003")], ["write failed: data"]),
    "another owner has the partition": ([FencedError("scripted")], ["fenced"]),
}


@pytest.mark.parametrize(("script", "told"), OF_THE_DATABASE.values(), ids=OF_THE_DATABASE)
async def test_whatever_happens_to_a_transaction_each_record_is_applied_once(
    script: list[Any], told: list[str]
) -> None:
    database, observer = Database(*script), RecordingObserver()
    log = Log(database, COUNT)
    await consume(log, database, observer)
    assert database.applied == list(range(COUNT))
    assert [call for call in observer.calls if "failed" in call or call == "fenced"] == told
    assert log.committed_to_kafka == {VIDEOS: COUNT}


OF_KAFKA: dict[str, tuple[list[Any], list[str]]] = {
    "a poll fails": ([KafkaFailedError("NotLeaderForPartitionError")], ["read failed: kafka"]),
    "no broker answers": ([None, None, UnavailableError("no broker answers")], ["read failed: kafka"]),
    "they are away for long": ([KafkaFailedError("x")] * 5, ["read failed: kafka"] * 5),
    "positions cannot be read": ([ConnectionRefusedError()], ["read failed: outage"]),
}


@pytest.mark.parametrize(("script", "told"), OF_KAFKA.values(), ids=OF_KAFKA)
async def test_whatever_happens_to_a_poll_each_record_is_applied_once(script: list[Any], told: list[str]) -> None:
    database, observer = Database(), RecordingObserver()
    await consume(Log(database, COUNT, *script), database, observer)
    assert database.applied == list(range(COUNT))
    assert [call for call in observer.calls if "failed" in call] == told


async def test_a_batch_too_slow_is_written_in_halves() -> None:
    database = Database(refused_with("57014"))
    await consume(Log(database, COUNT), database)
    whole, first, second = database.transactions[:3]
    assert (first + second, abs(first - second) <= 1) == (whole, True)


async def test_the_refused_events_of_a_commit_whose_reply_was_lost_are_counted() -> None:
    database, observer = Database("lost reply"), RecordingObserver()
    await consume(Log(database, COUNT).poison(0, 1), database, observer)
    assert database.parked == [0, 1]
    assert sum(len(batch.rejections) for batch in observer.committed) == 2


async def test_the_audit_finds_a_database_that_went_back_while_nothing_comes() -> None:
    """As after a failover to a replica that lagged: the fence would refuse the next batch, but there is none."""
    database = Database()
    log = Log(database, COUNT)
    went_back = asyncio.Event()

    def go_back() -> None:
        database.position = 4
        del database.applied[4:]
        went_back.set()

    log.script = [*[None] * COUNT, go_back]
    await consume(log, database, until=went_back.is_set, audit_seconds=0.0)
    assert database.applied == list(range(COUNT))
    assert log.forgotten == 1


async def test_a_group_that_refuses_us_again_and_again_halts_with_the_reason() -> None:
    database, refused = Database(), GroupRefusedError("another program is a member of group x")
    with pytest.raises(HaltedError, match=r"another program is a member of group x.*5 times"):
        await consume(Log(database, COUNT, *[refused] * 50), database)
    await consume(Log(database, COUNT, *[refused] * 4, KafkaFailedError("x"), *[refused] * 4), database)
    assert database.applied == list(range(COUNT))


@pytest.mark.parametrize("polls", range(8))
async def test_a_rebalance_at_any_poll_loses_and_doubles_nothing(polls: int) -> None:
    database = Database()
    log = Log(database, COUNT)
    log.script = [*[None] * polls, log.rebalance]
    await consume(log, database)
    assert database.applied == list(range(COUNT))


@pytest.mark.parametrize("transaction", range(4))
@pytest.mark.parametrize("how", ["before", "lost reply"])
async def test_a_rebalance_during_a_transaction_loses_and_doubles_nothing(transaction: int, how: str) -> None:
    """The partitions are given away while the batch is being written: it is drained, or fenced by what follows."""
    database = Database()
    log = Log(database, COUNT)

    def forget() -> str | None:
        log.forget()
        return "lost reply" if how == "lost reply" else None

    database.script = [*[None] * transaction, forget]
    await consume(log, database)
    assert sorted(set(database.applied)) == database.applied == list(range(COUNT))


async def test_a_batch_of_an_assignment_that_is_over_is_not_written_again() -> None:
    database, observer = Database(), RecordingObserver()
    log = Log(database, COUNT)

    def fail_and_rebalance() -> Exception:
        log.forget()
        return ConnectionResetError()

    database.script = [fail_and_rebalance]
    await consume(log, database, observer)
    assert database.applied == list(range(COUNT))
    assert "fenced" in observer.calls


async def test_stop_finishes_the_batch_in_hand() -> None:
    stop, released = asyncio.Event(), asyncio.Event()
    database, observer = Database(), RecordingObserver()
    log = Log(database, COUNT)

    def until_told() -> Any:
        stop.set()
        return released.wait()

    database.script = [until_told]
    running = asyncio.create_task(loop_of(log, database, observer).run(stop))
    async with asyncio.timeout(20):
        await stop.wait()
        await asyncio.sleep(0)
        assert not running.done()
        released.set()
        await running
    first = database.transactions[0]
    assert database.applied == list(range(first))
    assert observer.calls.count(f"committed {first}") == 1


async def test_stop_does_not_wait_for_a_transaction_for_ever() -> None:
    stop, begun = asyncio.Event(), asyncio.Event()

    def never_ends() -> Any:
        begun.set()
        return asyncio.Event().wait()

    database = Database(never_ends)
    log = Log(database, COUNT)
    running = asyncio.create_task(loop_of(log, database, RecordingObserver(), drain_seconds=0.01).run(stop))
    async with asyncio.timeout(20):
        await begun.wait()
        stop.set()
        await running
    assert (database.applied, log.left) == ([], True)


@pytest.mark.parametrize(
    "where",
    [
        "attempt_failed",
        "retry_scheduled",
        "recovered",
        "batch_fenced",
        "batch_committed",
        "writing",
        "enter",
        "leave",
    ],
)
async def test_an_error_of_the_observer_never_ends_consumption(where: str) -> None:
    errors = 0

    def count() -> None:
        nonlocal errors
        errors += 1

    database = Database(ConnectionRefusedError(), FencedError("scripted"))
    await consume(Log(database, COUNT, KafkaFailedError("x")), database, safe_observer(Broken(where), count))
    assert database.applied == list(range(COUNT))
    assert errors > 0


async def test_too_many_dead_letters_halt_before_anything_of_the_batch_is_written() -> None:
    database = Database()
    with pytest.raises(HaltedError, match="dead letters"):
        await consume(Log(database, COUNT, at_once=COUNT).poison(*range(12)), database)
    assert (database.applied, database.parked) == ([], [])


async def test_without_the_fence_a_rebalance_doubles_records() -> None:
    """The negative control: the script does reach the moment that the fence is for."""

    database = Database()
    database.fenced = False
    log = Log(database, COUNT)

    def another_owner() -> None:
        database.applied += range(database.position, database.position + 4)
        database.position += 4

    database.script = [None, another_owner]
    await consume(log, database)
    assert len(database.applied) > len(set(database.applied))
