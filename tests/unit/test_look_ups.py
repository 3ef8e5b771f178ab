"""Looking up beside polling: one at a time, and nothing that is out of date is taken."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from reelsync.consumer.errors import KafkaFailedError, UnavailableError
from reelsync.consumer.source.look_ups import LookUps


async def number(gate: asyncio.Event, result: int) -> int:
    await gate.wait()
    return result


async def failing(error: Exception) -> int:
    raise error


async def test_who_does_not_wait_goes_on_until_it_is_found() -> None:
    look_ups, gate = LookUps[int](), asyncio.Event()
    look_ups.start(number(gate, 5))
    assert not look_ups.may_start(soon=True), "one at a time"
    assert await look_ups.found(wait=False) is None
    gate.set()
    assert await look_ups.found(wait=True) == 5
    assert await look_ups.found(wait=True) is None, "once"
    assert look_ups.may_start(soon=False)


async def test_what_is_dropped_is_not_waited_for_and_not_found() -> None:
    look_ups, gate = LookUps[int](), asyncio.Event()
    look_ups.start(number(gate, 5))
    waiting = asyncio.create_task(look_ups.found(wait=True))
    await asyncio.sleep(0)
    look_ups.drop()
    gate.set()
    look_ups.start(number(gate, 6))
    assert await waiting is None
    assert await look_ups.found(wait=True) == 6
    await look_ups.end()


async def test_after_a_failure_the_next_one_is_begun_at_once_only_if_nothing_else_is_to_do() -> None:
    look_ups = LookUps[int]()
    look_ups.start(failing(ValueError("scripted")))
    with pytest.raises(ValueError, match="scripted"):
        await look_ups.found(wait=True)
    assert look_ups.may_start(soon=True)
    assert not look_ups.may_start(soon=False)
    look_ups.drop()
    assert look_ups.may_start(soon=False), "what failed is out of date"


@pytest.mark.parametrize("error", [KafkaFailedError("x"), KafkaConnectionError(), UnavailableError("x")])
async def test_a_failure_of_the_brokers_does_not_end_a_poll_that_reads_others(error: Exception) -> None:
    look_ups = LookUps[int]()
    with capture_logs() as logs:
        look_ups.start(failing(error))
        await asyncio.sleep(0)
        assert await look_ups.found(wait=False) is None
    assert [line["event"] for line in logs] == ["look_up.failed"]
    look_ups.start(failing(error))
    with pytest.raises(type(error)):
        await look_ups.found(wait=True)
