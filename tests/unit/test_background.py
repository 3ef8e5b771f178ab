"""Background tasks: an error is logged in one line and counted, the task is started again, and it ends when told to."""

import asyncio
from collections import Counter

import pytest
from structlog.testing import capture_logs

from reelsync.consumer import background
from reelsync.consumer.background import Task, keep_running, running


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_SHORTEST", 0.001)
    monkeypatch.setattr(background, "_LONGEST", 0.01)


class Failures(Counter[Task]):
    def count(self, task: Task) -> None:
        self[task] += 1


def script(*steps: BaseException | None) -> background.Work:
    """Work that does one of these each time that it is begun."""
    following = iter(steps)

    async def work() -> None:
        step = next(following)
        await asyncio.sleep(0)
        if step is not None:
            raise step

    return work


@pytest.mark.parametrize(
    "error", [ValueError("swordfish\nin two lines"), MemoryError(), KeyError("swordfish"), asyncio.CancelledError()]
)
async def test_an_error_is_logged_in_one_line_and_counted_and_the_work_is_begun_again(error: BaseException) -> None:
    failures = Failures()
    with capture_logs() as logs:
        await keep_running("redrive", script(error, error, None), failures.count)
    assert failures == {"redrive": 2}
    for entry in logs:
        delay = entry.pop("again_in_seconds")
        assert 0 <= delay <= background._LONGEST
        assert entry.pop("raised_at").startswith("test_background.py:")
        assert entry == {"event": "task.failed", "log_level": "error", "task": "redrive", "error": type(error).__name__}
    assert len(logs) == 2


async def test_work_that_returns_is_over() -> None:
    failures = Failures()
    await keep_running("relay", script(None), failures.count)
    assert failures == {}


async def test_a_task_is_cancelled_at_the_end_of_the_block_at_work_or_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_SHORTEST", 1_000.0)
    monkeypatch.setattr(background, "_LONGEST", 1_000.0)
    failures, ended, failed = Failures(), list[str](), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("lag")

    def count(task: Task) -> None:
        failures.count(task)
        failed.set()

    async with asyncio.timeout(10):
        async with running({"lag": work, "probe": script(ValueError())}, count):
            await failed.wait()
    assert (ended, failures) == (["lag"], {"probe": 1})


async def test_an_error_of_the_block_is_that_of_the_block() -> None:
    with pytest.raises(LookupError):
        async with running({"lag": asyncio.Event().wait}, Failures().count):  # type: ignore[dict-item]
            raise LookupError
