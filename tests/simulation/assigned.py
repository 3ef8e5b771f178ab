"""A partition that a reader is to read."""

from dataclasses import dataclass

from .kafka import Chunk


@dataclass
class State:
    """Where the reading of it stands."""

    position: int | None = None
    paused: bool = False
    highwater: int | None = None
    stable: int | None = None
    answered_at: int | None = None
    fetched: Chunk | None = None
