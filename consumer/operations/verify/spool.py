"""Events in temporary files, in parts by the ids of their rows, so that memory holds the events of one part alone."""

import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

MOST_SLICES = 256
"""The parts are told apart by one byte of an id."""
_AT_ONCE = 500
"""Events of a part that are held until they are written, with the references of as long."""
_OWN_ID = {"video": "video_id", "user": "user_id", "model_usage": "usage_id"}
_REFERENCES = {"video": (("users", "user_id"),), "model_usage": (("videos", "video_id"), ("users", "user_id"))}
"""For each kind of event, the tables that it refers to, and the fields with their ids."""


class Event(NamedTuple):
    """What an oracle is given, and the partition that it was in."""

    type: str
    time: datetime
    data: dict[str, Any]
    topic: str
    partition: int

    @property
    def aggregate_id(self) -> str:
        """The id of its row."""
        return str(self.data[_OWN_ID[self.type.partition(".")[0]]])


class Chunk(NamedTuple):
    """Events about rows of one part, and ids of its rows that events of any part refer to, by table."""

    events: list[Event]
    referenced: dict[str, set[str]]


def _empty() -> Chunk:
    return Chunk([], {"users": set(), "videos": set()})


class EventSpool:
    """Takes events in any order. Each is in the part of its row, and rows that it refers to are named in their parts.

    The files are gone after the block.
    """

    def __init__(self, parts: int) -> None:
        self._parts = {f"{byte:02x}": byte % parts for byte in range(MOST_SLICES)}
        """By the last two digits of an id."""
        self._held = [_empty() for _ in range(parts)]
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="reelsync-verify-")))
        paths = (folder / str(part) for part in range(len(self._held)))
        self._files = [self._stack.enter_context(path.open("w+b")) for path in paths]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def add(self, event: Event) -> None:
        """Add one event. Ids in its data are lower-case hex with dashes."""
        kind, data = event.type.partition(".")[0], event.data
        if event.type == "user.erased":  # The person may have owned any video, and any fact may name the person.
            for part in range(len(self._held)):
                self._add_to(part, event)
            return
        self._add_to(self._parts[data[_OWN_ID[kind]][-2:]], event)
        for table, field in _REFERENCES.get(kind, ()):
            if referenced := data.get(field):
                self._held[self._parts[referenced[-2:]]].referenced[table].add(referenced)

    def has(self, part: int) -> Callable[[str], bool]:
        """Whether a row, by its id, belongs to this part."""
        parts = self._parts
        return lambda row_id: parts[row_id[-2:]] == part

    def chunks(self, part: int) -> Iterator[Chunk]:
        """What belongs to a part, its events in the order in which they were added. None may be added afterwards."""
        self._write(part)
        file = self._files[part]
        file.seek(0)
        while True:
            try:
                events, referenced = pickle.load(file)  # noqa: S301 - this process wrote it
            except EOFError:
                return
            yield Chunk([Event(*event) for event in events], referenced)

    def _add_to(self, part: int, event: Event) -> None:
        events = self._held[part].events
        events.append(event)
        if len(events) >= _AT_ONCE:
            self._write(part)

    def _write(self, part: int) -> None:
        events, referenced = self._held[part]
        pickle.dump(([tuple(event) for event in events], referenced), self._files[part], pickle.HIGHEST_PROTOCOL)
        self._held[part] = _empty()
