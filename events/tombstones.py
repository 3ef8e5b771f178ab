"""Erasure: a null value on a user or video topic removes everything that is known of that aggregate, for good."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from .fields import EARLIEST_TIME, LATEST_TIME, canonical_id

ERASED_VERSION = 2**62
"""An erasure has this version plus the record's timestamp in milliseconds. No version of a publisher is that high."""

ErasureType = Literal["user.tombstone", "video.tombstone", "video.owner_erased"]
"""The types of the events that tombstones become, and events of an erased person's videos. Not in the contract: no
publisher can send them."""

_EARLIEST_MS = 0
_LATEST_MS = (LATEST_TIME - EARLIEST_TIME) // timedelta(milliseconds=1)


class Tombstone(NamedTuple):
    """What a tombstone says: `aggregate_id` is erased as of `time`, above every version a publisher can send."""

    aggregate: Literal["user", "video"]
    aggregate_id: str
    time: datetime
    version: int


def tombstone(aggregate: Literal["user", "video"], key: bytes, timestamp_ms: int) -> Tombstone:
    """The erasure that a record with null value asks for. The timestamp is clamped to 1970-2200.

    Raises:
        ValueError: the key is not an aggregate's id.
    """
    milliseconds = min(max(timestamp_ms, _EARLIEST_MS), _LATEST_MS)
    return Tombstone(
        aggregate,
        canonical_id(key.decode()),
        datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds),
        ERASED_VERSION + milliseconds,
    )
