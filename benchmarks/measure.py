"""One turn of one contender.

The clock is the same for all. First a lock keeps every writer out of the tables. The contender starts, imports,
connects, joins its group, and waits for that lock with its first write. The clock starts when the lock is released, and
ends when the last event is committed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.accounting import Pids, cpu_seconds, peak_memory
from benchmarks.contender_processes import BenchmarkError, Processes, running
from benchmarks.contenders import Contender
from benchmarks.contenders.assignment import Assignment
from benchmarks.expected import READ_COLUMNS, difference
from benchmarks.progress import Progress, progress_of
from benchmarks.published_log import PublishedLog
from benchmarks.servers import Servers, fresh_name
from benchmarks.yardstick import Yardstick
from reelsync.testing.servers.child_process import last_lines

_LOOK_SECONDS = 0.02
_READY_SECONDS = 90.0
_PLANNED_A_SECOND = 20_000
"""The slowest planning that is waited for, in events a second: the database alone plans everything first."""
_STALLED_SECONDS = 120.0
_STOP_SECONDS = 30.0

_GATE = text("LOCK TABLE consumer_offsets, videos IN SHARE MODE")
_WAITING = text(
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND relation IN "
    "('consumer_offsets'::regclass, 'videos'::regclass)"
)
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
_WAL = text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
_ROWS = text(
    "SELECT COALESCE(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables "
    "WHERE relname IN ('users', 'user_profiles', 'videos', 'model_usage', 'video_states', 'dead_letters')"
)


class Turn(NamedTuple):
    """The measurements of one turn."""

    events: int
    seconds: float
    client_cpu: float
    """CPU seconds, user and system, of all its processes."""
    postgres_cpu: float | None
    """CPU seconds of the server and its backends; None if they do not run on this machine."""
    broker_cpu: float | None
    peak_memory: int
    """Bytes, of all its processes together."""
    rows_written: int
    """Inserted, updated and deleted, in the tables that events are merged into."""
    wal_bytes: int
    wrong_rows: int | None
    """None if the rows were not compared."""
    second_half_rate: float
    """Events a second after half of them were committed, so without the start."""
    yardstick: float | None = None
    """CPU seconds of the yardstick for a value in the same time, if there was a yardstick."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


class _Half(NamedTuple):
    events: int
    at: float


class _Spent(NamedTuple):
    client: float
    postgres: float
    broker: float
    wal: int


async def measure(
    servers: Servers, log: PublishedLog, contender: Contender, yardstick: Yardstick | None = None
) -> Turn:
    """Let the contender consume the log into a new copy of the log's database, beside a yardstick if there is one.

    Raises:
        BenchmarkError: it ended, or made no progress; with the end of its output.
    """
    database = fresh_name("turn")
    await servers.create_database(database, log.template)
    try:
        return await _measured(servers, log, contender, database, yardstick)
    finally:
        await servers.drop_database(database)


async def _measured(
    servers: Servers, log: PublishedLog, contender: Contender, database: str, yardstick: Yardstick | None
) -> Turn:
    assignment = _assignment(servers, log, database)
    async with servers.connected(database) as watcher:
        rows_before = (await watcher.execute(_ROWS)).scalar_one()
        launches = contender.launches(assignment)
        async with _gate_closed(servers, database) as open_gate, running(launches) as processes:
            await _until_ready(processes, watcher, contender, assignment)
            progress = progress_of(contender, log, assignment.group, processes, watcher)
            before = await _spent(servers, processes.pids, watcher)
            reading = yardstick.reading if yardstick else None
            await open_gate()
            started = time.perf_counter()
            half = await _until_done(processes, progress, log.events)
            seconds = time.perf_counter() - started
            after = await _spent(servers, processes.pids, watcher)
            price = yardstick.price_since(reading) if yardstick and reading else None
            memory = peak_memory(processes.pids)
        await _until_alone(watcher)
        rows_after = (await watcher.execute(_ROWS)).scalar_one()
        columns = contender.columns if log.form == "events" else READ_COLUMNS
        found = await difference(watcher, columns) if log.expected else None
    return Turn(
        events=log.events,
        seconds=seconds,
        client_cpu=after.client - before.client,
        postgres_cpu=after.postgres - before.postgres if servers.postgres_pids else None,
        broker_cpu=after.broker - before.broker if servers.broker_pids else None,
        peak_memory=memory,
        rows_written=rows_after - rows_before,
        wal_bytes=after.wal - before.wal,
        wrong_rows=found.wrong_rows if found else None,
        second_half_rate=(log.events - half.events) / (started + seconds - half.at),
        yardstick=price,
    )


def _assignment(servers: Servers, log: PublishedLog, database: str) -> Assignment:
    return Assignment(
        bootstrap_servers=servers.bootstrap_servers,
        database_url=servers.url(database),
        topic=log.topic,
        partitions=log.partitions,
        events=log.events,
        group=fresh_name("group"),
        workload=log.workload.name,
        form=log.form,
    )


@asynccontextmanager
async def _gate_closed(servers: Servers, database: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Keep all writers out of the tables until the yielded function is called."""
    async with servers.connected(database) as connection:
        await connection.execute(text("CHECKPOINT"))
        await connection.execute(text("BEGIN"))
        await connection.execute(_GATE)

        async def open_gate() -> None:
            await connection.execute(text("COMMIT"))

        yield open_gate


async def _until_ready(
    processes: Processes, watcher: AsyncConnection, contender: Contender, assignment: Assignment
) -> None:
    """Wait until all connections that will write wait at the gate; then each worker has its partitions."""
    patience = _READY_SECONDS + assignment.events / _PLANNED_A_SECOND
    deadline = time.monotonic() + patience
    while (await watcher.execute(_WAITING)).scalar_one() < contender.waits:
        processes.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(
                f"it was not ready after {patience:.0f} s. The end of its output:\n{last_lines(processes.log)}"
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _until_done(processes: Processes, progress: Progress, events: int) -> _Half:
    """Watch until it is done. Returns when it was first seen to be half done, or more, but not done."""
    half = _Half(0, time.perf_counter())
    done, moved_at = 0, time.monotonic()
    while done < events:
        await asyncio.sleep(_LOOK_SECONDS)
        seen = await progress()
        if seen > done:
            if done < events / 2 and seen < events:
                half = _Half(seen, time.perf_counter())
            done, moved_at = seen, time.monotonic()
        elif time.monotonic() - moved_at > _STALLED_SECONDS:
            raise BenchmarkError(
                f"it makes no progress beyond {done:,} events. Its output:\n{last_lines(processes.log)}"
            )
        processes.check()
    return half


async def _until_alone(watcher: AsyncConnection) -> None:
    """Wait until the contender's backends have ended: only then has PostgreSQL their numbers of written rows."""
    deadline = time.monotonic() + _STOP_SECONDS
    while (await watcher.execute(_OTHERS)).scalar_one():
        if time.monotonic() > deadline:
            raise BenchmarkError("its connections stayed open after it was stopped")
        await asyncio.sleep(_LOOK_SECONDS)


async def _spent(servers: Servers, client: Pids, watcher: AsyncConnection) -> _Spent:
    return _Spent(
        client=cpu_seconds(client),
        postgres=cpu_seconds(servers.postgres_pids),
        broker=cpu_seconds(servers.broker_pids),
        wal=(await watcher.execute(_WAL)).scalar_one(),
    )
