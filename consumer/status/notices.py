"""The state in words: one sentence for each thing that an operator should know, the worst cause first. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from reelsync.consumer.health.health import BackingOff, servers_away
from reelsync.consumer.health.probe import OpenTransaction
from reelsync.consumer.observer import Activity, Server
from reelsync.consumer.offsets.check import Halt, open_transaction, remedy, reset_command
from reelsync.consumer.records import Partition

from .history import Recent
from .wording import SERVER_NAMES, WHOLE, counted, duration, in_words

Level = Literal["ok", "warning", "error"]
Kind = Literal[
    "stuck",
    "waiting",
    "halted",
    "held_back",
    "starting",
    "worker",
    "dead_letters",
    "retrying",
    "pool",
    "task",
    "stopped",
    "behind",
    "applying",
    "replaying",
    "idle",
]

_MANY_LETTERS = 10
"""In a minute: from here on they are more than one bad record."""
_TROUBLE_SHARE = 0.5
"""Of a minute's records: with so many dead letters, what is published is broken rather than single events."""
_LONG_RETRY_SECONDS = 2.0
_LONG_JOIN_SECONDS = 60.0
"""So long a group waits for a member that finishes its batch."""
_LONG_TRANSACTION_SECONDS = 10.0
_REPLAY = "see that the brokers are the right ones, then replay what the log has (it changes no row that is right)"
_BRIEF_LAG_SECONDS = 5.0
_LONG_LAG_SECONDS = 60.0
_DOMINANT_SHARE = 0.5


@dataclass(frozen=True)
class Notice:
    """A sentence. `fix`: what to do about it, or None if nothing; `command`: and with which command."""

    kind: Kind
    level: Level
    text: str
    fix: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Facts:
    """What is known at `now`, in seconds of the clock of `health`."""

    now: float
    not_live: Collection[str]
    schema_verified: bool
    settled: bool
    unreachable: Mapping[Server, str]
    backing_off: Mapping[Activity, BackingOff]
    halted: Mapping[Partition, Halt]
    open_transactions: Mapping[Partition, OpenTransaction]
    reading: int
    """Partitions that this process reads."""
    lag: int | None
    present: Recent
    """The last quarter of a minute."""
    minute: Recent
    """The last minute."""
    pool_in_use: int
    pool_limit: int
    unsettled_seconds: float = 0.0
    """How long partitions or their positions have not been known, without an outage."""
    absent: Mapping[int, str] = field(default_factory=dict)
    """Workers that do not answer at the moment, by number, and why."""


def notices(facts: Facts) -> list[Notice]:
    """The notices, the worst first: that is the headline. There is always one."""
    wrong = [
        *_stuck(facts),
        *_waiting(facts),
        *_halted(facts),
        *_held_back(facts),
        *_starting(facts),
        *_absent(facts),
        *_poisoned(facts),
        *_retrying(facts),
        *_exhausted(facts),
        *_failed_tasks(facts),
    ]
    if not {"stuck", "waiting", "starting"} & {notice.kind for notice in wrong}:
        # Otherwise its speed means nothing.
        wrong.append(_progress(facts))
    return sorted(wrong, key=_rank)


def _rank(notice: Notice) -> tuple[int, bool]:
    levels: list[Level] = ["error", "warning", "ok"]
    return levels.index(notice.level), notice.kind == "dead_letters" and notice.level == "ok"


def _stuck(facts: Facts) -> Iterator[Notice]:
    if facts.not_live:
        text = f"Stuck: {'; '.join(facts.not_live)}"
        yield Notice("stuck", "error", text, "restart this process: nothing is lost")


def _waiting(facts: Facts) -> Iterator[Notice]:
    outages = {activity: off for activity, off in facts.backing_off.items() if off.outage}
    away = servers_away(facts.unreachable, facts.backing_off)
    for server, name in SERVER_NAMES.items():
        if server not in away:
            continue
        off = next((off for off in outages.values() if off.server in {server, None}), None)
        why = in_words(off.why if off else facts.unreachable[server])
        text = f"Waiting for {name}: {why}{_attempts(off, facts.now) if off else ''}"
        yield Notice("waiting", "error", text, f"check {name}; the consumer continues by itself, and nothing is lost")
    if outages and not away:
        off = next(iter(outages.values()))
        text = f"Waiting for the servers: {in_words(off.why)}{_attempts(off, facts.now)}"
        yield Notice("waiting", "error", text)


def _attempts(off: BackingOff, now: float) -> str:
    upcoming = "trying again now"
    if off.next_at is not None and off.next_at > now:
        upcoming = f"next try in {duration(off.next_at - now)}"
    return f", {upcoming} (for {duration(now - off.since)}, {counted(off.attempts, 'attempt')} so far)"


def _halted(facts: Facts) -> Iterator[Notice]:
    if not facts.halted:
        return
    partition, halt = min(facts.halted.items(), key=lambda item: (item[1].is_waiting, item[0]))
    more = f"; and {len(facts.halted) - 1} more" if len(facts.halted) > 1 else ""
    text = f"{counted(len(facts.halted), 'partition')} halted: {partition}: {halt.message}{more}"
    command = reset_command(partition, "earliest") if halt.is_for_reset else None
    yield Notice("halted", "error", text, _REPLAY if command else remedy(partition, halt), command)


def _held_back(facts: Facts) -> Iterator[Notice]:
    held = {p: one for p, one in facts.open_transactions.items() if facts.now - one.since > _LONG_TRANSACTION_SECONDS}
    if held:
        partition, one = min(held.items(), key=lambda item: item[1].since)
        text = f"{counted(len(held), 'partition')} held back for {duration(facts.now - one.since)}: {partition}: "
        yield Notice("held_back", "warning", text + open_transaction(partition, one.first, one.offsets))


def _starting(facts: Facts) -> Iterator[Notice]:
    if not facts.schema_verified:
        yield Notice("starting", "warning", "Starting: the schema is not verified yet")
    elif not facts.settled and not servers_away(facts.unreachable, facts.backing_off):
        joining = f"Joining the group for {duration(facts.unsettled_seconds)}"
        text = f"{joining}: partitions are not assigned yet, or their positions are not known"
        if facts.unsettled_seconds < _LONG_JOIN_SECONDS:
            yield Notice("starting", "warning", text)
            return
        fix = "see the log: poll.failed says what fails, partitions.assigned again and again that members come and go"
        yield Notice("starting", "warning", text, fix, "reelsync check")


def _absent(facts: Facts) -> Iterator[Notice]:
    for number, why in facts.absent.items():
        yield Notice("worker", "warning", f"Worker {number} {why}", "if this continues, see its last lines in the log")


def _poisoned(facts: Facts) -> Iterator[Notice]:
    """Name conflicts do not count, because they come from order, not from publishers."""
    parked = {reason: count for reason, count in facts.minute.dead_letters.items() if reason != "conflict"}
    total, records = sum(parked.values()), facts.minute.records
    if not total:
        return
    worst = max(parked, key=lambda reason: parked[reason])
    command = f"reelsync dlq list --reason {worst}"
    if total < _MANY_LETTERS:
        yield Notice("dead_letters", "ok", f"{counted(total, 'dead letter')} in the last minute", command=command)
        return
    share = f"{100 * total / records:.{0 if total >= records / 100 else 1}f} %"
    text = f"{share} of the records of the last minute became dead letters: {total:,}, most of them {worst}"
    level: Level = "error" if total >= _TROUBLE_SHARE * records else "warning"
    yield Notice("dead_letters", level, text, "see what they are, and correct their publisher", command)


def _retrying(facts: Facts) -> Iterator[Notice]:
    for activity, off in facts.backing_off.items():
        if not off.outage and facts.now - off.since > _LONG_RETRY_SECONDS:
            text = f"A {activity} fails and is tried again: {in_words(off.why)}{_attempts(off, facts.now)}"
            fix = 'if this continues, see "The database is away" in docs/runbook.md'
            yield Notice("retrying", "warning", text, fix)


def _exhausted(facts: Facts) -> Iterator[Notice]:
    if facts.pool_in_use >= facts.pool_limit:
        text = f"All {facts.pool_limit} connections of the pool are in use"
        yield Notice("pool", "warning", text, "look for statements that wait for locks")


def _failed_tasks(facts: Facts) -> Iterator[Notice]:
    if failures := facts.minute.failures:
        tasks = ", ".join(f"{task} ({counted(times, 'time')})" for task, times in sorted(failures.items()))
        text = f"Background tasks failed in the last minute, and were started again: {tasks}"
        yield Notice("task", "warning", text, "report the lines task.failed of the log: events are consumed meanwhile")


def _progress(facts: Facts) -> Notice:
    lag, present = facts.lag or 0, facts.present
    if rate := present.records_per_second:
        return _applying(facts, lag, rate)
    if facts.lag is None:
        return Notice("idle", "ok", f"Reading {counted(facts.reading, 'partition')}; how much waits is not known yet")
    if not lag:
        return Notice("idle", "ok", f"Caught up: nothing waits in {counted(facts.reading, 'partition')}")
    text = f"{counted(lag, 'record')} to go, and none was applied in the last {duration(present.seconds)}"
    return Notice("stopped", "warning", text)


def _applying(facts: Facts, lag: int, rate: float) -> Notice:
    age, before = facts.present.age_seconds, facts.present.lag_before
    behind = "" if age is None else f", {duration(age)} behind"
    speed = f"{rate:,.{0 if rate >= WHOLE else 1}f} records/s"
    to_go, at_this_rate = f"{counted(lag, 'record')} to go", f", {duration(lag / rate)} at this rate"
    if facts.present.replayed > facts.present.records / 2:
        rest = f"; {to_go}{at_this_rate}" if lag else ""
        return Notice("replaying", "ok", f"Replaying {speed}, which change no row{rest}")
    if lag <= rate * _BRIEF_LAG_SECONDS:
        return Notice("applying", "ok", f"Applying {speed}{behind}")
    text = f"applying {speed}{behind}; {to_go}{_dominant(facts.minute)}"
    if before is not None and lag > before:
        return Notice("behind", "warning", f"Falling behind: {text}")
    level: Level = "warning" if lag > rate * _LONG_LAG_SECONDS else "ok"
    return Notice("behind", level, f"Catching up: {text}{at_this_rate}")


def _dominant(minute: Recent) -> str:
    """Where most of the time goes, if it goes to one phase."""
    total = sum(minute.phases.values())
    phase = max(minute.phases, key=lambda phase: minute.phases[phase], default=None)
    if phase is None or minute.phases[phase] < _DOMINANT_SHARE * total:
        return ""
    return f", most of the time in {phase}"
