"""The progress of a contender, seen from outside: by its positions, by its output, or by its rows."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.contender_processes import Processes
from benchmarks.contenders import Contender
from benchmarks.published_log import Marker, PublishedLog

Progress = Callable[[], Awaitable[int]]
"""The number of events that are committed."""

_POSITIONS = text("SELECT COALESCE(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE consumer_group = :name")
_LOOKED_AHEAD = 8
"""How many markers of a partition are looked up at once. A batch seldom goes further."""
_BY_KEY = text("SET enable_seqscan = off")
"""Without this, a plan that is made while the table is empty would read the whole table for ever."""
_AS_USUAL = text("RESET enable_seqscan")
_REACHED = text(
    "SELECT number FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) WITH ORDINALITY "
    "AS m(id, least, number) "
    "WHERE (SELECT version FROM videos WHERE videos.id = m.id) >= least"
)


def progress_of(
    contender: Contender, log: PublishedLog, group: str, processes: Processes, watcher: AsyncConnection
) -> Progress:
    """The function that reads the progress of this kind."""

    async def by_positions() -> int:
        return int((await watcher.execute(_POSITIONS, {"name": group})).scalar_one())

    async def by_output() -> int:
        return processes.printed

    by_markers = Markers(log.markers, watcher)
    known: dict[str, Progress] = {"positions": by_positions, "output": by_output, "markers": by_markers.done}
    return known[contender.progress]


class Markers:
    """How much of each partition is in the rows, found by marker rows that are looked up by primary key.

    Each batch of a partition is committed as a whole and in order, so if a marker is there, everything before it is
    too.
    """

    def __init__(self, markers: Sequence[Sequence[Marker]], connection: AsyncConnection) -> None:
        self._waiting = {number: list(own) for number, own in enumerate(markers) if own}
        self._done = dict.fromkeys(self._waiting, 0)
        self._connection = connection

    async def done(self) -> int:
        """The number of records that are in the rows."""
        asked = [
            (number, marker)
            for number, own in self._waiting.items()
            for marker in ([*own[:_LOOKED_AHEAD], own[-1]] if own else ())
        ]
        if not asked:
            return sum(self._done.values())
        ids, versions = [marker.video_id for _, marker in asked], [marker.version for _, marker in asked]
        await self._connection.execute(_BY_KEY)
        found = await self._connection.execute(_REACHED, {"ids": ids, "versions": versions})
        for (number,) in found:
            partition, marker = asked[number - 1]
            self._done[partition] = max(self._done[partition], marker.done)
        await self._connection.execute(_AS_USUAL)
        for partition, own in self._waiting.items():
            self._waiting[partition] = [marker for marker in own if marker.done > self._done[partition]]
        return sum(self._done.values())
