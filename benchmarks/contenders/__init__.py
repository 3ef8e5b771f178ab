"""The contenders: what each of them guarantees, and how it is started."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from benchmarks.contenders import connect_libraries, debezium, reelsync
from benchmarks.contenders.assignment import Assignment, Launch, module
from benchmarks.expected import READ_COLUMNS, STORED_COLUMNS
from benchmarks.forms import Form

ProgressKind = Literal["positions", "output", "markers"]
"""How its progress is seen: by the positions in the database, by what it prints after each commit, or by its rows."""


def _is_ready() -> None:
    """Do nothing, for contenders that need no download."""


class Contender(NamedTuple):
    """One way to write the events of a log into the tables."""

    name: str
    title: str
    guarantee: str
    launches: Callable[[Assignment], list[Launch]]
    """The processes to start."""
    waits: int
    """How many connections wait at the gate when it is ready."""
    share: float
    """The share of the run's events that is enough to measure its rate."""
    progress: ProgressKind = "output"
    reads: Sequence[Form] = ("events",)
    """The forms of a log that it reads. It is not measured on a workload that has none of them."""
    columns: Iterable[str] = READ_COLUMNS
    """The columns that it keeps, among those that are compared at the end."""
    is_ceiling: bool = False
    """Whether it is the ceiling for contenders with as many connections that write."""
    prepare: Callable[[], None] = _is_ready
    """Fetches what it needs beside this project. LeftOutError if this machine cannot have that."""

    def form_of(self, forms: Iterable[Form]) -> Form | None:
        """The first of these forms that it reads."""
        return next((form for form in forms if form in self.reads), None)


_REELSYNC = "exactly once in effect; any order; bad records kept; every rule of the contract checked"
_ALONE = "the same statements, made before the clock starts; no Kafka, no client work: the ceiling"
_AT_LEAST_ONCE = "at least once; last to arrive wins; one bad record stops its batch"
_SINK = "at least once; last record to arrive wins; a bad record stops its task"
_AT_MOST_ONCE = "offsets committed on their own (FastStream's default): may lose; last to arrive wins"


def _alone(connections: int) -> Contender:
    return Contender(
        f"database-{connections}",
        f"database alone, {_counted(connections, 'connection')}",
        _ALONE,
        lambda assignment: [module("database_alone", assignment._replace(connections=connections))],
        waits=connections,
        share=1.0,
        progress="positions",
        reads=("events", "changes"),
        columns=STORED_COLUMNS,
        is_ceiling=True,
    )


def _workers(workers: int) -> Contender:
    return _reelsync(
        f"reelsync-{workers}",
        _counted(workers, "worker"),
        lambda assignment: reelsync.launches(assignment, workers),
        writers=workers,
    )


def _states(workers: int) -> Contender:
    return _reelsync(
        f"states-{workers}",
        f"{_counted(workers, 'worker')}, with states of videos",
        lambda assignment: reelsync.launches(assignment, workers, REELSYNC_BATCH__VIDEO_STATES="true"),
        writers=workers,
    )


def _instances(instances: int) -> Contender:
    return _reelsync(
        f"instances-{instances}",
        _counted(instances, "instance"),
        lambda assignment: reelsync.launches(assignment, workers=1) * instances,
        writers=instances,
    )


def _reelsync(name: str, what: str, launches: Callable[[Assignment], list[Launch]], writers: int) -> Contender:
    return Contender(
        name,
        f"reelsync, {what}",
        _REELSYNC,
        launches,
        waits=writers,
        share=1.0,
        progress="positions",
        reads=("events", "changes"),
        columns=STORED_COLUMNS,
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender
    for contender in (
        _alone(1),
        _alone(2),
        _workers(1),
        _workers(2),
        _instances(2),
        _states(2),
        Contender(
            "debezium",
            "Debezium JDBC sink 3.6, 2 tasks",
            _SINK,
            lambda assignment: debezium.launches(assignment, tasks=2),
            waits=2,
            share=1.0,
            progress="markers",
            reads=("rows", "changes"),
            prepare=connect_libraries.fetch,
        ),
        Contender(
            "faststream",
            "FastStream batch + Pydantic + values(list)",
            _AT_MOST_ONCE,
            lambda assignment: [module("faststream_values", assignment)],
            waits=1,
            share=0.1,
        ),
        Contender(
            "orm",
            "aiokafka + Pydantic + session.merge",
            _AT_LEAST_ONCE,
            lambda assignment: [module("orm_merge", assignment)],
            waits=1,
            share=0.02,
        ),
    )
}
CEILINGS = frozenset(name for name, contender in CONTENDERS.items() if contender.is_ceiling)
