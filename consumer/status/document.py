"""The document of /status.json: its shape is these models, and docs/http.md explains it."""

from pydantic import BaseModel, ConfigDict

from reelsync.consumer.observer import Activity, Server, Written
from reelsync.consumer.offsets.check import HaltReason
from reelsync.consumer.transform.batch import Batch
from reelsync.models import PoolStats

from .history import Series
from .notices import Level, Notice
from .recent_dead_letters import LatestDeadLetter
from .statements import Statements


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class HaltStatus(_Part):
    """Why a partition waits for an operator, and the command that ends it."""

    reason: HaltReason
    why: str
    fix: str


class HeldBackStatus(_Part):
    """An open transaction of a producer, which began at offset `first`: what comes after it cannot be read yet."""

    first: int
    offsets: int
    for_seconds: float
    why: str


class PartitionStatus(_Part):
    """A partition of the group: the stored position, the end of what may be read, and the records in between.

    `assigned`: to this process, and `worker` is the number of the one that reads it. What was not asked yet is null.
    """

    topic: str
    partition: int
    position: int | None
    end: int | None
    lag: int | None
    assigned: bool
    worker: int | None
    halted: HaltStatus | None
    state: str
    """In words: reading, settling, held back, halted, waiting for a server or for its broker, or not read here."""
    held_back: HeldBackStatus | None


class TopicStatus(_Part):
    """All known partitions of a topic together."""

    topic: str
    partitions: int
    lag: int | None
    """None while that of one is not known."""
    states: dict[str, int]
    """How many partitions are in each state."""


class BackingOffStatus(_Part):
    """An activity that failed and is tried again: `start`, `read` or `write`. `outage`: because a server is away."""

    activity: Activity
    why: str
    outage: bool
    attempts: int
    for_seconds: float
    server: Server | None
    """Whose failure it was, if that is known."""
    next_in_seconds: float | None
    """Until the next attempt; null while one is made."""
    worker: int
    """The number of the one that it fails."""


class ServerStatus(_Part):
    """Whether a server answered when last asked."""

    name: Server
    reachable: bool
    why: str | None


class BatchStatus(_Part):
    """A batch that was committed. `rows_sent` may be more than `rows_written`: what is not newer writes nothing."""

    records: int
    dead_letters: int
    rows_sent: int
    rows_written: int
    seconds: dict[str, float]
    """Time spent in each phase: poll, decode, fold, write, commit."""
    seconds_ago: float = 0.0


class PoolStatus(_Part):
    """Connections to PostgreSQL: `open` of at most `limit`, `in_use` of those.

    `size` are kept open, `overflow` are open beyond those; `invalid` were found broken, since the process started.
    """

    open: int
    in_use: int
    limit: int
    size: int
    overflow: int
    invalid: int


class Counts(_Part):
    """What happened since the process started, and how often."""

    records: int
    rebalances: int
    fenced: int
    kafka_commit_failures: int
    version_conflicts: int
    retries: dict[str, int]
    """By reason."""
    task_failures: dict[str, int]
    """Errors of background tasks, each of which was started again, by task."""


class Tile(_Part):
    """A server or a figure. `level`: how good it is, if that can be said."""

    name: str
    figure: str
    note: str
    level: Level | None


class WorkerStatus(_Part):
    """One of the processes that consume here: without `--workers` there is one, this.

    `pid` is null while it does not run. What is not known yet is null.
    """

    number: int
    pid: int | None
    live: bool
    ready: bool
    reasons: list[str]
    """Why it is not live or not ready."""
    restarts: int
    partitions: int
    """That it reads."""
    lag: int | None
    records_per_second: float
    """Committed, over the last quarter of a minute."""
    age_seconds: float | None
    """Of the oldest event committed in that time."""


class Status(_Part):
    """The whole document. Counts are of this process and its workers, since it started."""

    version: str
    group: str
    uptime_seconds: float
    live: bool
    ready: bool
    reasons: list[str]
    """Why it is not live or not ready."""
    lag: int | None
    """Records to go in the partitions assigned to this process, all its workers together."""
    workers: list[WorkerStatus]
    partitions: list[PartitionStatus]
    topics: list[TopicStatus] = []
    """The same, a topic at a time."""
    backing_off: list[BackingOffStatus]
    servers: list[ServerStatus]
    last_batch: BatchStatus | None
    dead_letters: dict[str, int]
    """Records parked, by reason."""
    latest_dead_letters: list[LatestDeadLetter]
    """The latest few of each reason, the latest first; nothing of what is in them."""
    pool: PoolStatus
    notices: list[Notice]
    """How it is, in words. The first is the headline; there is always one."""
    tiles: list[Tile] = []
    """The servers and the most important figures, in words."""
    records_per_second: float
    """Committed, over the last quarter of a minute."""
    history: Series
    phase_seconds: dict[str, float]
    """Time spent in each phase, in the last minute."""
    statements: Statements
    counts: Counts


def batch_status(batch: Batch, written: list[Written]) -> BatchStatus:
    """What became of a batch."""
    write, commit = sum(part.write_seconds for part in written), sum(part.commit_seconds for part in written)
    seconds = batch.seconds | {"write": write, "commit": commit}
    return BatchStatus(
        records=batch.count,
        dead_letters=sum(len(part.rejections) for part in written),
        rows_sent=sum(sum(part.sent.values()) for part in written),
        rows_written=sum(sum(part.changed.values()) for part in written),
        seconds={phase: round(spent, 6) for phase, spent in seconds.items()},
    )


def pool_status(pool: PoolStats, max_overflow: int) -> PoolStatus:
    """The pool's connections at the moment."""
    return PoolStatus(
        open=pool.checked_in + pool.checked_out,
        in_use=pool.checked_out,
        limit=pool.size + max_overflow,
        size=pool.size,
        overflow=pool.overflow,
        invalid=pool.invalid,
    )
