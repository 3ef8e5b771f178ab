"""kill -9 between every two steps of the transaction: nothing lost, nothing doubled.

Rows cannot show that something was applied twice, because the merge is idempotent. Dead letters can: each attempt is
counted. So every fourth record is poison, and each must have been attempted exactly once.
"""

import signal
from pathlib import Path

import pytest

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, usage, user, video
from tests.support.processes import process
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied

CRASHER = str(Path(__file__).with_name("crashing_consumer.py"))
STEPS = (
    "offsets.fence",
    "users.known",
    "users.merge",
    "videos.merge",
    "model_usage.merge",
    "dead_letters.lock",
    "dead_letters.park",
    "before_commit",
    "after_commit",
    "after_kafka_commit",
)
RECORDS = 600
POISON_EVERY = 4


@pytest.fixture
def small_batches(settings: Settings) -> Settings:
    return settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 40})})


async def publish_log(settings: Settings) -> None:
    values = []
    for number in range(RECORDS):
        kinds = (
            b"poison",
            video("created", number, owner=number % 7),
            usage(number, of_video=number, owner=number % 7),
            user("logged_in", number % 7, version=number + 1),
        )
        values.append((an_id(number).encode(), kinds[number % POISON_EVERY]))
    await publish(settings, topic_of(settings, "video"), values)


def crash_at(settings: Settings, step: str, transaction: int, guard: str = "fenced") -> None:
    with process(settings, CRASHER, step, str(transaction), guard) as child:
        _, said = child.communicate(timeout=90)
        assert child.returncode == -signal.SIGKILL, f"the fault did not happen at {step}: {said[-2000:]}"


async def attempts(settings: Settings) -> list[object]:
    return [row["attempts"] for row in await rows_of(settings, "dead_letters")]


async def test_a_kill_at_any_step_loses_and_doubles_nothing(small_batches: Settings) -> None:
    await publish_log(small_batches)
    for step in STEPS:
        crash_at(small_batches, step, transaction=1)
    async with consuming(small_batches):
        await until_applied(small_batches)
    assert await attempts(small_batches) == [1] * (RECORDS // POISON_EVERY)
    assert len(await rows_of(small_batches, "model_usage")) == RECORDS // POISON_EVERY
    assert len([row for row in await rows_of(small_batches, "videos") if row["version"]]) == RECORDS // POISON_EVERY


async def test_without_the_fence_the_same_kill_doubles(small_batches: Settings) -> None:
    await publish_log(small_batches)
    crash_at(small_batches, "after_commit", transaction=2, guard="unfenced")
    async with consuming(small_batches):
        await until_applied(small_batches)
    assert max(map(int, map(str, await attempts(small_batches)))) > 1
