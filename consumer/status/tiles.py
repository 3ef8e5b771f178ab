"""The servers and the most important figures: what the page and the terminal show at the top. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from reelsync.consumer.health.health import NOT_ASKED, servers_away

from .document import BatchStatus, Status, Tile
from .history import Series
from .notices import Facts, Kind, Level
from .wording import SERVER_NAMES, counted, duration, rate

_LATE_SECONDS = 60.0
"""From this age on, the alert ReelsyncEventsLate counts."""


def tiles(facts: Facts, status: Status) -> list[Tile]:
    """In the order in which they are shown. The level of a figure is that of the notices about it."""
    levels: dict[Kind, Level] = {notice.kind: notice.level for notice in reversed(status.notices)}
    return [
        *_servers(facts),
        _throughput(facts, levels),
        _age(facts, status.history),
        _lag(facts, levels),
        _letters(status, levels),
        _batch(status.last_batch),
    ]


def _servers(facts: Facts) -> Iterator[Tile]:
    away = servers_away(facts.unreachable, facts.backing_off)
    for server, name in SERVER_NAMES.items():
        why = facts.unreachable.get(server)
        if server in away:
            # Why is in the notice.
            since = [off.since for off in facts.backing_off.values() if off.outage and off.server == server]
            note = f"for {duration(facts.now - min(since))}" if since else "no answer to the last check"
            yield Tile(name=name, figure="away", note=note, level="error")
        elif why == NOT_ASKED:
            yield Tile(name=name, figure="–", note=NOT_ASKED, level=None)
        else:
            yield Tile(name=name, figure="answers", note="to the last check", level="ok")


def _throughput(facts: Facts, levels: Mapping[Kind, Level]) -> Tile:
    level = _worst(levels, "stuck", "waiting", "stopped")
    note = f"records, over the last {duration(facts.present.seconds)}"
    return Tile(name="Throughput", figure=rate(facts.present.records_per_second), note=note, level=level)


def _age(facts: Facts, history: Series) -> Tile:
    # The last step has only just begun at times.
    present = [age for age in history.age_seconds[-2:] if age is not None]
    known = [age for age in history.age_seconds if age is not None]
    if not present:
        note = "when it was committed" if known else "no event yet"
        return Tile(name="Event age", figure=duration(known[-1]) if known else "–", note=note, level="ok")
    grows = facts.present.records == facts.present.replayed
    note = "it grows: nothing new is committed" if grows else "of the oldest event of the last batches"
    level: Level = "ok" if present[-1] < _LATE_SECONDS else "warning"
    return Tile(name="Event age", figure=duration(present[-1]), note=note, level=level)


def _lag(facts: Facts, levels: Mapping[Kind, Level]) -> Tile:
    if facts.lag is None:
        return Tile(name="Lag", figure="–", note="not known at present", level=None)
    level = _worst(levels, "stopped", "behind", "waiting") if facts.lag else "ok"
    note = f"records to go in {counted(facts.reading, 'partition')}"
    return Tile(name="Lag", figure=f"{facts.lag:,}", note=note, level=level)


def _letters(status: Status, levels: Mapping[Kind, Level]) -> Tile:
    figure = f"{sum(status.dead_letters.values()):,}"
    note = f"{sum(status.history.dead_letters):,} in the last ten minutes"
    return Tile(name="Dead letters", figure=figure, note=note, level=_worst(levels, "dead_letters"))


def _batch(last: BatchStatus | None) -> Tile:
    if last is None:
        return Tile(name="Last batch", figure="–", note="none yet", level=None)
    return Tile(
        name="Last batch", figure=f"{last.records:,}", note=f"records, {duration(last.seconds_ago)} ago", level=None
    )


def _worst(levels: Mapping[Kind, Level], *kinds: Kind) -> Level:
    """The level of the worst notice of these kinds."""
    order: Sequence[Level] = ("ok", "warning", "error")
    return max((levels.get(kind, "ok") for kind in kinds), key=order.index)
