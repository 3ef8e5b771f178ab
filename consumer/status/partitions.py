"""Every partition that is known, as the process that reads it sees it, and those of a topic together. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from reelsync.consumer.health.health import servers_away
from reelsync.consumer.offsets.check import Halt, open_transaction, remedy
from reelsync.consumer.records import Partition

from .document import HaltStatus, HeldBackStatus, PartitionStatus, TopicStatus
from .snapshot import Report, state_of
from .wording import SERVER_NAMES


def partition_statuses(reports: Mapping[int, Report], now: float) -> list[PartitionStatus]:
    """Every known partition: as the worker that reads it sees it, or else by the latest report."""
    owners = {
        p: number for number, report in reports.items() for p in {*report.reading, *report.halted, *report.settling}
    }
    known = {*owners, *(partition for report in reports.values() for partition in report.positions)}
    latest = max(reports.values(), key=lambda report: report.at, default=None)
    found = []
    for partition in sorted(known):
        owner = owners.get(partition)
        report = reports[owner] if owner is not None else latest
        if report:
            found.append(_partition_status(partition, owner, report, now))
    return found


def topic_statuses(partitions: Iterable[PartitionStatus]) -> list[TopicStatus]:
    """The partitions of each topic together. They must be sorted by topic."""
    return [_topic_status(topic, list(those)) for topic, those in groupby(partitions, key=lambda p: p.topic)]


def _topic_status(topic: str, partitions: Sequence[PartitionStatus]) -> TopicStatus:
    lags = [partition.lag for partition in partitions]
    return TopicStatus(
        topic=topic,
        partitions=len(partitions),
        lag=None if None in lags else sum(lag for lag in lags if lag is not None),
        states=dict(Counter(partition.state for partition in partitions).most_common()),
    )


def _partition_status(partition: Partition, owner: int | None, report: Report, now: float) -> PartitionStatus:
    position, end = report.positions.get(partition), report.ends.get(partition)
    halt = report.halted.get(partition)
    if position is not None and end is not None and not halt:
        # The end was asked for earlier: what was applied since proves that there is more.
        end = max(end, position)
    return PartitionStatus(
        topic=partition.topic,
        partition=partition.number,
        position=position,
        end=end,
        lag=None if position is None or end is None else max(0, end - position),
        assigned=owner is not None,
        worker=owner,
        halted=_halt_status(partition, halt) if halt else None,
        state=_state(partition, owner, report),
        held_back=_held_back_status(partition, report, now),
    )


def _state(partition: Partition, owner: int | None, report: Report) -> str:
    if owner is None:
        return "not read here"
    if halt := report.halted.get(partition):
        return "waiting for its broker" if halt.is_waiting else "halted"
    away = servers_away(report.unreachable, report.backing_off)
    names = [name for server, name in SERVER_NAMES.items() if server in away]
    if names:
        return f"waiting for {' and '.join(names)}"
    return state_of(partition, {}, report.settling, report.open_transactions).replace("_", " ")


def _held_back_status(partition: Partition, report: Report, now: float) -> HeldBackStatus | None:
    if (found := report.open_transactions.get(partition)) is None:
        return None
    return HeldBackStatus(
        first=found.first,
        offsets=found.offsets,
        for_seconds=round(now - found.since, 1),
        why=open_transaction(partition, found.first, found.offsets),
    )


def _halt_status(partition: Partition, halt: Halt) -> HaltStatus:
    return HaltStatus(reason=halt.reason, why=halt.message, fix=remedy(partition, halt))
