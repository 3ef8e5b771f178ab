"""What the reports of all members say together, as the notices need it. Pure."""

from collections.abc import Collection, Sequence

from reelsync.consumer.health.health import NOT_ASKED, BackingOff
from reelsync.consumer.observer import Activity, Server

from .document import PoolStatus
from .history import History
from .notices import Facts
from .snapshot import Member, Report

PRESENT_SECONDS = 15.0
"""The time over which rates are measured."""
_MINUTE_SECONDS = 60.0


def facts_of(
    now: float, members: Sequence[Member], not_live: Collection[str], history: History, pool: PoolStatus
) -> Facts:
    """What is known `now`. `history` and `pool` are those of all members together."""
    reports = [member.report for member in members if member.report]
    return Facts(
        now=now,
        not_live=not_live,
        schema_verified=bool(reports) and all(report.schema_verified for report in reports),
        settled=bool(reports) and all(report.settled for report in reports),
        unreachable=_unreachable(reports),
        backing_off=_worst(reports),
        halted={partition: halt for report in reports for partition, halt in report.halted.items()},
        open_transactions={p: one for report in reports for p, one in report.open_transactions.items()},
        reading=sum(len(report.reading) for report in reports),
        lag=_lag(reports),
        present=history.recent(PRESENT_SECONDS),
        minute=history.recent(_MINUTE_SECONDS),
        pool_in_use=pool.in_use,
        pool_limit=pool.limit,
        unsettled_seconds=max((now - r.unsettled_since for r in reports if r.unsettled_since is not None), default=0.0),
        absent={member.number: member.absent for member in members if member.absent},
    )


def _unreachable(reports: Sequence[Report]) -> dict[Server, str]:
    """Servers that some worker does not reach; `not asked yet` only if no worker has asked."""
    servers: tuple[Server, ...] = ("postgresql", "kafka")
    found = {}
    for server in servers:
        reasons = [report.unreachable.get(server) for report in reports] or [NOT_ASKED]
        failed = [why for why in reasons if why not in {None, NOT_ASKED}]
        if failed or None not in reasons:
            found[server] = failed[0] if failed else NOT_ASKED
    return found


def _worst(reports: Sequence[Report]) -> dict[Activity, BackingOff]:
    """Of each activity the one that waits for an outage, and that has waited for longest."""
    worst: dict[Activity, BackingOff] = {}
    for activity, off in (item for report in reports for item in report.backing_off.items()):
        if activity not in worst or (not off.outage, off.since) < (not worst[activity].outage, worst[activity].since):
            worst[activity] = off
    return worst


def _lag(reports: Sequence[Report]) -> int | None:
    lags = [report.lag for report in reports]
    return sum(lag for lag in lags if lag is not None) if lags and None not in lags else None
