"""Events in temporary files, in parts by the ids of their rows, so that memory holds the events of one part alone."""

import pickle
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

MOST_SLICES = 256
"""The parts are told apart by one byte of an id."""
_AT_ONCE = 500
"""Events of a part that are held until they are written."""
_IDS = ("video_id", "user_id", "usage_id")


class Event(NamedTuple):
    """What an oracle is given."""

    type: str
    time: datetime
    data: dict[str, Any]


def part_of(row_id: str, parts: int) -> int:
    """The part that a row belongs to, by the last byte of its id."""
    return int(row_id[-2:], 16) % parts


class EventSpool:
    """Takes events in any order. Each is in every part that has one of its rows, or may have.

    The files are gone after the block.
    """

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self._held: list[list[Event]] = [[] for _ in range(parts)]
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="reelsync-verify-")))
        self._files = [self._stack.enter_context((folder / str(part)).open("w+b")) for part in range(self._parts)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, event_type: str, time: datetime, data: dict[str, Any]) -> None:
        """Add one event."""
        event = Event(event_type, time, data)
        named = {part_of(data[name], self._parts) for name in _IDS if data.get(name)}
        # An erased person may have owned any video, and any fact may name the person.
        for part in range(self._parts) if event_type == "user.erased" else named:
            held = self._held[part]
            held.append(event)
            if len(held) >= _AT_ONCE:
                self._write(part)

    def events(self, part: int) -> Iterator[Event]:
        """The events of a part, in the order in which they were added. None may be added afterwards."""
        self._write(part)
        file = self._files[part]
        file.seek(0)
        while True:
            try:
                yield from map(Event._make, pickle.load(file))  # noqa: S301 - this process wrote it
            except EOFError:
                return

    def _write(self, part: int) -> None:
        pickle.dump([tuple(event) for event in self._held[part]], self._files[part], pickle.HIGHEST_PROTOCOL)
        self._held[part] = []
