"""Batches that the database refuses: which are looked into, which wait, and which halt with the server's sentence."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from reelsync.consumer.errors import HaltedError
from tests.support.scripted import COUNT, Database, Log, consume, refused_with


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Attempts follow one another at once, and the log is kept off the terminal."""
    monkeypatch.setattr("reelsync.consumer.backoff.random.uniform", lambda _least, _most: 0.0)
    with capture_logs():
        yield


async def test_refused_data_is_looked_for_carefully_and_only_in_that_batch() -> None:
    database = Database(None, refused_with("22003"))
    await consume(Log(database, COUNT), database)
    assert database.careful[:4] == [False, False, True, False]


async def test_data_that_is_refused_while_it_is_parked_halts_with_the_servers_sentence() -> None:
    database = Database(*[refused_with("22P05")] * 50)
    with pytest.raises(HaltedError, match=r"22P05.*encoding UTF8"):
        await consume(Log(database, COUNT), database)
    assert database.applied == []
    assert len(database.transactions) < 10


@pytest.mark.parametrize("state", ["23505", "23503"])
async def test_rows_that_are_refused_again_and_again_halt_with_the_servers_sentence(state: str) -> None:
    """As by a unique index of somebody else: a retry can only help if somebody had just written the same."""
    database = Database(*[refused_with(state)] * 50)
    with pytest.raises(HaltedError, match=f"5 times.*the server says {state}.*index of yours"):
        await consume(Log(database, COUNT), database)
    assert database.applied == []


@pytest.mark.parametrize(
    "script", [["40P01"] * 30, ["55P03"] * 30, ["23505", "40P01"] * 15, ["23505"] * 4], ids=lambda states: states[0]
)
async def test_what_waiting_can_change_is_waited_for(script: list[str]) -> None:
    database = Database(*map(refused_with, script))
    await consume(Log(database, COUNT), database)
    assert database.applied == list(range(COUNT))


async def test_a_record_that_is_too_slow_alone_may_be_parked_after_five_attempts() -> None:
    """What is too slow in company is cut in halves first."""
    database = Database(*[refused_with("57014")] * 12)
    await consume(Log(database, COUNT), database)
    attempts = zip(database.transactions, database.too_slow, strict=True)
    assert [too_slow for count, too_slow in attempts if count == 1][:7] == [False] * 5 + [True] * 2
    assert database.applied == list(range(COUNT))


@pytest.mark.parametrize("state", ["42P01", "P0001", "08P01", "42999"])
async def test_a_statement_of_ours_that_is_refused_halts_with_the_servers_sentence(state: str) -> None:
    database = Database(refused_with(state))
    with pytest.raises(HaltedError, match=f"the server says {state}"):
        await consume(Log(database, COUNT), database)
    assert database.applied == []
