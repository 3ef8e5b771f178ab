"""Tasks beside the path of a batch: an error in one of them is logged and counted, and the task is started again."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, get_args

import structlog

from .backoff import Backoff
from .postgres.sqlstate import describe

Task = Literal[
    "heartbeat",
    "history",
    "lag",
    "live_view",
    "log_summary",
    "probe",
    "redrive",
    "relay",
    "reports",
    "retention",
    "worker_logs",
    "workers",
]
TASKS: tuple[Task, ...] = get_args(Task)
"""The closed set of their names: a label of the metrics."""
_SHORTEST, _LONGEST = 0.5, 10.0
_STEADY_SECONDS = 60.0
"""A task that ran for so long is started again as if for the first time."""

Work = Callable[[], Awaitable[None]]
CountFailure = Callable[[Task], None]

_log = structlog.get_logger("reelsync.background")


@asynccontextmanager
async def running(tasks: Mapping[Task, Work], count_failure: CountFailure) -> AsyncIterator[None]:
    """Keep the tasks running during the block. They are cancelled at its end."""
    started = [asyncio.create_task(keep_running(task, work, count_failure), name=task) for task, work in tasks.items()]
    try:
        yield
    finally:
        for each in started:
            each.cancel()
        await asyncio.gather(*started, return_exceptions=True)


async def keep_running(task: Task, work: Work, count_failure: CountFailure) -> None:
    """Run `work` until it returns. After each error it is run again, with back-off."""
    backoff = Backoff(_SHORTEST, _LONGEST)
    while True:
        started = time.monotonic()
        try:
            return await work()
        except asyncio.CancelledError as error:
            # aiokafka cancels tasks of its own when a broker is gone, and that CancelledError may arrive here.
            if is_cancelled():
                raise
            failure: BaseException = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the consumer goes on
            failure = error
        if time.monotonic() - started > _STEADY_SECONDS:
            backoff.reset()
        delay = backoff.next_delay()
        report_failure(task, failure, count_failure, again_in_seconds=round(delay, 1))
        await asyncio.sleep(delay)


def report_failure(task: Task, error: BaseException, count_failure: CountFailure, **more: object) -> None:
    """Log an error of a task in one line, with the place that raised it, and count it."""
    count_failure(task)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in last]
    _log.error("task.failed", task=task, error=describe(error), raised_at="".join(where), **more)


def is_cancelled() -> bool:
    """Whether the present task itself is being cancelled, and not only something that it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
