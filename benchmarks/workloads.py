"""Workloads: events of videos whose owners already exist. The same seed gives the same log, byte for byte."""

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from benchmarks.forms import Form, Happened, Row, as_change, as_event, as_key, row_after

Headers = tuple[tuple[str, bytes | None], ...]

OWNERS = 1_000
_OWNERS_SEED = 4_711
_LIVE = 5_000
"""How many videos have further events at any moment of the lifecycle workload."""
_HOT_KEYS = 1_000
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_RESOLUTIONS = ("1280x720", "1920x1080", "3840x2160")
LIFECYCLE = ("created", "processing", "progressed", "progressed", "progressed", "completed")


class LogRecord(NamedTuple):
    """A record to publish, keyed by the id of its video."""

    key: bytes
    value: bytes
    video_id: str
    version: int
    topic: str = "video-events"
    headers: Headers = ()
    timestamp_ms: int = 0


class Workload(NamedTuple):
    """A log to consume. `applied`: whether the tables hold its rows before it is consumed."""

    name: str
    description: str
    make: Callable[..., Iterator[LogRecord]]
    """Makes the log from a seed, a number of events and a form."""
    forms: tuple[Form, ...] = ("events",)
    """The forms in which it is published. Each contender takes the first that it reads."""
    applied: bool = False

    def records(self, seed: int, events: int, form: Form = "events") -> Iterator[LogRecord]:
        """The log. In every form it says the same about the same videos."""
        return self.make(seed, events, form=form)


class _Video:
    """A video, and its state so far."""

    __slots__ = ("owner", "row", "version", "video_id")

    def __init__(self, rng: random.Random, owners: list[str]) -> None:
        self.video_id = _an_id(rng)
        self.owner = rng.choice(owners)
        self.version = 0
        self.row: Row | None = None


def owner_ids() -> list[str]:
    """The ids of the users that own all videos, whatever the workload and its seed."""
    rng = random.Random(_OWNERS_SEED)
    return [_an_id(rng) for _ in range(OWNERS)]


def lifecycle(seed: int, events: int, *, form: Form = "events", padding: int = 0) -> Iterator[LogRecord]:
    """Six events for each video in their order, with the events of 5,000 videos mixed.

    Values are about 330 bytes long, and `padding` bytes longer: a field that readers do not know.
    """
    rng = random.Random(seed)
    owners = owner_ids()
    live = [_Video(rng, owners) for _ in range(max(1, min(_LIVE, events // len(LIFECYCLE))))]
    for number in range(events):
        place = rng.randrange(len(live))
        video = live[place]
        yield _record(rng, number, video, LIFECYCLE[video.version], form, padding)
        if video.version == len(LIFECYCLE):
            live[place] = _Video(rng, owners)


def unique(seed: int, events: int, *, form: Form = "events") -> Iterator[LogRecord]:
    """Each event makes a row of its own."""
    rng = random.Random(seed)
    owners = owner_ids()
    for number in range(events):
        yield _record(rng, number, _Video(rng, owners), "created", form)


def hot(seed: int, events: int, *, form: Form = "events") -> Iterator[LogRecord]:
    """A thousand videos that change again and again."""
    rng = random.Random(seed)
    owners = owner_ids()
    videos = [_Video(rng, owners) for _ in range(_HOT_KEYS)]
    for number in range(events):
        video = rng.choice(videos)
        kind = "created" if not video.version else rng.choice(("updated", "processing", "progressed", "completed"))
        yield _record(rng, number, video, kind, form)


def disorder(seed: int, events: int, *, form: Form = "events") -> Iterator[LogRecord]:
    """The events of the lifecycle, in random order."""
    records = list(lifecycle(seed, events, form=form))
    random.Random(seed + 1).shuffle(records)
    yield from records


WORKLOADS: Mapping[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("lifecycle", "6 events per video in order, 5,000 videos at a time", lifecycle, ("events", "rows")),
        Workload("unique", "every event a new row", unique, ("events", "rows")),
        Workload("captured", "the lifecycle as row changes of Debezium", lifecycle, ("changes",)),
        Workload("replay", "the lifecycle once more: nothing to write", lifecycle, applied=True),
        Workload("hot", "1,000 videos, changed over and over", hot),
        Workload("disorder", "the lifecycle in any order", disorder),
    )
}


def padded_lifecycle(padding: int) -> Workload:
    """The lifecycle with values that are `padding` bytes longer."""
    return Workload(f"lifecycle+{padding}", f"values {padding} bytes longer", partial(lifecycle, padding=padding))


def _an_id(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _record(  # noqa: PLR0913, PLR0917 - all that a record is made of
    rng: random.Random, number: int, video: _Video, kind: str, form: Form, padding: int = 0
) -> LogRecord:
    video.version += 1
    video_id, version = video.video_id, video.version
    data = {"video_id": video_id, "user_id": video.owner, "version": version} | _data(rng, kind)
    time = _BEGIN + timedelta(milliseconds=number)
    happened = Happened(number, f"{video_id}-{version}", kind, time, data)
    if form == "events":
        value = as_event(happened, padding)
    else:
        video.row = row_after(video.row, happened)
        value = orjson.dumps(video.row) if form == "rows" else as_change(happened, video.row)
    return LogRecord(as_key(form, video_id), value, video_id, version)


def _data(rng: random.Random, kind: str) -> dict[str, Any]:
    match kind:
        case "created" | "updated":
            return {
                "title": f"Product tour {rng.randrange(1_000_000)}",
                "description": "What it does, in two minutes.",
                "voice_id": f"voice-{rng.randrange(40)}",
                "language": "en-GB",
                "resolution": rng.choice(_RESOLUTIONS),
            }
        case "progressed":
            return {"progress": rng.randrange(1, 100)}
        case "completed":
            url = f"https://cdn.example.com/videos/{rng.getrandbits(48):012x}"
            return {
                "output_url": f"{url}.mp4",
                "thumbnail_url": f"{url}.jpg",
                "duration_seconds": rng.randrange(5_000, 600_000) / 1000,
                "processing_time": rng.randrange(1_000, 90_000) / 1000,
                "file_size": rng.randrange(200_000, 300_000_000),
            }
        case _:
            return {}
