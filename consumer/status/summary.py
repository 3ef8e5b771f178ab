"""The status of one process, out of what each of its members reports. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version

from reelsync.consumer.counters import Family
from reelsync.consumer.observer import Server

from .document import (
    BackingOffStatus,
    BatchStatus,
    Counts,
    PoolStatus,
    ServerStatus,
    Status,
    WorkerStatus,
)
from .facts import PRESENT_SECONDS, facts_of
from .history import History, Recent, Step
from .notices import notices
from .partitions import partition_statuses, topic_statuses
from .recent_dead_letters import latest_of
from .snapshot import Member, Past, Report
from .statements import statements
from .tiles import tiles


def status_of(  # noqa: PLR0913 - each is a fact of its own
    group: str,
    now: float,
    began: float,
    members: Sequence[Member],
    metrics: Mapping[str, Family],
    *,
    not_live: Sequence[str],
    not_ready: Sequence[str],
    past: Past = Past(),  # noqa: B008 - immutable
) -> Status:
    """The document `now`, for a process that `began` earlier. `metrics`: of all members, added up."""
    reports = {member.number: member.report for member in members if member.report}
    history = _history(now, began, [past.steps, *(report.steps for report in reports.values())])
    pool = _pool(reports.values())
    facts = facts_of(now, members, not_live, history, pool)
    status = Status(
        version=package_version(),
        group=group,
        uptime_seconds=round(now - began, 1),
        live=not not_live,
        ready=not not_ready,
        reasons=[*not_live, *not_ready],
        lag=facts.lag,
        workers=[_worker_status(member, now) for member in members],
        partitions=partition_statuses(reports, now),
        backing_off=_backing_off_statuses(reports, now),
        servers=_server_statuses(facts.unreachable),
        last_batch=_last_batch(reports.values(), now),
        dead_letters=metrics["reelsync_dead_letters"].counts(),
        latest_dead_letters=latest_of([*past.parked, *(p for r in reports.values() for p in r.parked)], now),
        pool=pool,
        notices=notices(facts),
        records_per_second=round(facts.present.records_per_second, 3),
        history=history.series(),
        phase_seconds={phase: round(seconds, 6) for phase, seconds in facts.minute.phases.items()},
        statements=statements(metrics["db_client_operation_duration_seconds"]),
        counts=_counts(metrics),
    )
    return status.model_copy(update={"topics": topic_statuses(status.partitions), "tiles": tiles(facts, status)})


@cache
def package_version() -> str:
    """The version that is installed."""
    return version("reelsync")


def _history(now: float, began: float, of_each: Iterable[Sequence[Step]]) -> History:
    history = History(lambda: now, began)
    for steps in of_each:
        history.add(steps)
    return history


def _pool(reports: Iterable[Report]) -> PoolStatus:
    pools = [report.pool for report in reports]
    return PoolStatus(**{name: sum(getattr(pool, name) for pool in pools) for name in PoolStatus.model_fields})


def _last_batch(reports: Iterable[Report], now: float) -> BatchStatus | None:
    last = max((report.last_batch for report in reports if report.last_batch), key=lambda last: last[0], default=None)
    return last[1].model_copy(update={"seconds_ago": round(now - last[0], 1)}) if last else None


def _counts(metrics: Mapping[str, Family]) -> Counts:
    return Counts(
        records=metrics["reelsync_events"].total(),
        rebalances=metrics["reelsync_rebalances"].total(),
        fenced=metrics["reelsync_fenced"].total(),
        kafka_commit_failures=metrics["reelsync_kafka_commit_failures"].total(),
        version_conflicts=metrics["reelsync_version_conflicts"].total(),
        retries=metrics["reelsync_retries"].counts(),
        task_failures={task: n for task, n in metrics["reelsync_background_task_failures"].counts().items() if n},
    )


def _worker_status(member: Member, now: float) -> WorkerStatus:
    report, absent = member.report, [member.absent] if member.absent else []
    present = _history(now, report.began, [report.steps]).recent(PRESENT_SECONDS) if report else Recent()
    return WorkerStatus(
        number=member.number,
        pid=member.pid,
        live=report is not None and not absent and not report.not_live,
        ready=report is not None and not absent and not report.not_ready,
        reasons=[*absent, *(report.not_live + report.not_ready if report else [])],
        restarts=member.restarts,
        partitions=len(report.reading) if report else 0,
        lag=report.lag if report else None,
        records_per_second=round(present.records_per_second, 3),
        age_seconds=present.age_seconds,
    )


def _backing_off_statuses(reports: Mapping[int, Report], now: float) -> list[BackingOffStatus]:
    """What is tried again and again at the moment."""
    return [
        BackingOffStatus(
            activity=activity,
            why=off.why,
            outage=off.outage,
            attempts=off.attempts,
            for_seconds=round(now - off.since, 1),
            server=off.server,
            next_in_seconds=None if off.next_at is None else round(max(0.0, off.next_at - now), 1),
            worker=number,
        )
        for number, report in reports.items()
        for activity, off in report.backing_off.items()
    ]


def _server_statuses(unreachable: Mapping[Server, str]) -> list[ServerStatus]:
    servers: tuple[Server, ...] = ("postgresql", "kafka")
    return [
        ServerStatus(name=server, reachable=server not in unreachable, why=unreachable.get(server))
        for server in servers
    ]
