"""Whose failure it is, where Kafka and the database are asked in one go: each is translated where it is called."""

from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    KafkaError,
)

from reelsync.consumer.errors import GroupRefusedError, KafkaFailedError, UnavailableError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.group_members import count_members
from reelsync.consumer.kafka.group_refusals import translated
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.scan import scan
from reelsync.consumer.records import Partition, Span
from reelsync.consumer.settings import KafkaSettings

NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")
PLACE = Partition("video-events", 0)


async def read(log: KafkaLog) -> None:
    async for _ in scan(log, {PLACE: Span(0, 1)}):
        pass


QUESTIONS: dict[str, Callable[[KafkaLog], Awaitable[object]]] = {
    "ranges": lambda log: log.ranges([PLACE]),
    "survey": lambda log: log.survey([PLACE]),
    "offsets at a time": lambda log: log.offsets_at([PLACE], 0),
    "times": lambda log: log.timestamps({PLACE: 0}, 10),
    "anchors": lambda log: log.anchors({PLACE: 0}, 10),
    "topics": lambda log: log.topics(["video-events"]),
    "members": lambda _: count_members(NOBODY),
    "records": read,
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_no_question_fails_with_an_error_of_the_client(question: Callable[[KafkaLog], Awaitable[object]]) -> None:
    with pytest.raises(KafkaFailedError, match="KafkaConnectionError") as raised:
        await question(KafkaLog(NOBODY))
    assert isinstance(raised.value.__cause__, KafkaError)
    with pytest.raises(UnavailableError, match=r"no broker answers at 127\.0\.0\.1:1 \(KafkaConnectionError\)"):
        async with diagnosed(NOBODY):
            raise raised.value


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionRefusedError(), KafkaConnectionError()])
async def test_what_fails_while_a_log_is_read_is_of_kafka(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(_reader: object) -> None:
        raise error

    monkeypatch.setattr("reelsync.consumer.kafka.log.Reader.start", start)
    with pytest.raises(KafkaFailedError, match=type(error).__name__):
        await KafkaLog(NOBODY).ranges([PLACE])


@pytest.mark.parametrize("error", [OSError("of the database"), TimeoutError(), ValueError()])
async def test_what_others_fail_with_meanwhile_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        async with diagnosed(NOBODY):
            raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InconsistentGroupProtocolError(), "another program is a member of group reelsync"),
        (GroupAuthorizationFailedError(), "the user may not be a member of group reelsync: grant Read"),
        (InvalidSessionTimeoutError(), "do not allow a session timeout of"),
    ],
)
async def test_a_group_that_refuses_its_member_is_named_with_what_to_do(error: KafkaError, said: str) -> None:
    async def ask() -> None:
        async with diagnosed(NOBODY):
            with translated(NOBODY):
                raise error

    with pytest.raises(GroupRefusedError, match=said):
        await ask()


def test_another_failure_of_a_member_is_named() -> None:
    with pytest.raises(KafkaFailedError, match="KafkaConnectionError"), translated(NOBODY):
        raise KafkaConnectionError
