"""A consumer that kills itself, as `kill -9` would, at one step of its nth transaction. Run by test_crashes.

Arguments: the step (a query name, `before_commit`, `after_commit`, `after_kafka_commit` or `never`), the transaction's
number, and `fenced` or `unfenced`. Unfenced, offsets are stored after the rows, in a transaction of their own.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from sqlalchemy import event

from reelsync.consumer.app import Consumer
from reelsync.consumer.offsets.store import fence
from reelsync.consumer.runner import run_until_signal
from reelsync.consumer.settings import Settings
from reelsync.consumer.sink import writer
from reelsync.consumer.telemetry.logs import configure_logs


class Crash:
    """Counts the transactions, and ends the process at the chosen step of the chosen one."""

    def __init__(self, step: str, transaction: int) -> None:
        self._step = step
        self._transaction = transaction
        self._seen = 0

    def reach(self, step: str) -> None:
        if step == self._step:
            self._seen += 1
            if self._seen == self._transaction:
                os.kill(os.getpid(), signal.SIGKILL)


def install(app: Consumer, crash: Crash) -> None:
    engine = app.engine.sync_engine

    @event.listens_for(engine, "after_cursor_execute")
    def executed(_conn: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        crash.reach(context.execution_options.get("query_name", ""))

    @event.listens_for(engine, "commit")
    def committing(_conn: Any) -> None:
        crash.reach("before_commit")

    app.observe = lambda _batch, _written: crash.reach("after_commit")
    commit_later = app.source.commit_later

    def commit(positions: Any) -> None:
        commit_later(positions)
        committed = app.source._commits._running
        assert committed is not None
        committed.add_done_callback(lambda _task: crash.reach("after_kafka_commit"))

    app.source.commit_later = commit


def remove_fence(app: Consumer, crash: Crash) -> None:
    """Store offsets as most consumers do: after the rows, apart from them."""

    async def no_fence(*_arguments: Any) -> None:
        pass

    writer.fence = no_fence
    write = app.writer.write

    async def write_then_store(batch: Any, **options: Any) -> Any:
        written = await write(batch, **options)
        crash.reach("after_commit")
        async with app.engine.begin() as connection:
            await fence(connection, app.settings.kafka.group_id, batch.spans, batch.anchors)
        return written

    app.writer.write = write_then_store


async def main(step: str, transaction: int, guard: str) -> None:
    settings = Settings()
    configure_logs(settings.log)
    app, crash = Consumer(settings), Crash(step, transaction)
    install(app, crash)
    if guard == "unfenced":
        app.observe = None
        remove_fence(app, crash)
    await run_until_signal(app)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
