"""A day of records, as upstream services would have published them: mostly right, sometimes twice, late, or wrong."""

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from .poison import FROM_EVENT, Headers, Poison, poison_of
from .stories import Happening, an_id, user_story, video_story

TOPICS = {"video": "video-events", "user": "user-events", "model_usage": "model-usage-events"}
_EVENTS_PER_USER = 3.1
_EVENTS_PER_VIDEO = 7.2
_VIDEOS_PER_USER = 1.6
_DUPLICATED = 0.02
_DELAYED = 0.05
_LONGEST_DELAY = 300
_BINARY = 0.15
_POISON_ROUNDS = 3


class DayRecord(NamedTuple):
    """A record to publish. `expected` is `event`, `tombstone`, or the kind of poison that it is."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    expected: str


class Day(NamedTuple):
    """A day's records in the order in which they reach the broker."""

    records: list[DayRecord]


def generate_day(seed: int = 1, events: int = 60_000) -> Day:
    """About `events` records. The same seed gives the same day, byte for byte."""
    rng = random.Random(seed)
    happenings = sorted(_happenings(rng, events), key=lambda happening: happening.at)
    records = [_published(rng, happening) for happening in happenings]
    records += [record for record in records if rng.random() < _DUPLICATED]
    places = [_place(rng, position, len(happenings)) for position in range(len(records))]
    ordered = [record for _, record in sorted(zip(places, records, strict=True), key=lambda placed: placed[0])]
    for poison in _poison(rng, happenings):
        ordered.insert(rng.randrange(len(ordered)), poison)
    return Day(ordered)


def _happenings(rng: random.Random, events: int) -> Iterator[Happening]:
    users = max(10, round(events / (_EVENTS_PER_USER + _VIDEOS_PER_USER * _EVENTS_PER_VIDEO)))
    user_ids = [an_id(rng) for _ in range(users)]
    for number, user_id in enumerate(user_ids):
        yield from user_story(rng, number, user_id)
    for number in range(round(users * _VIDEOS_PER_USER)):
        # A few users make most of the videos.
        owner = (
            user_ids[min(users - 1, int(rng.paretovariate(0.7)) - 1)] if rng.random() < 0.3 else rng.choice(user_ids)
        )
        yield from video_story(rng, number, an_id(rng), owner, rng.choice(user_ids))


def _published(rng: random.Random, happening: Happening) -> DayRecord:
    topic = TOPICS[happening.aggregate]
    timestamp_ms = int(happening.at.timestamp() * 1000)
    if happening.type is None:
        (key,) = happening.data.values()
        return DayRecord(topic, key.encode(), None, (), timestamp_ms, "tombstone")
    key = _key_of(happening.data)
    attributes = _attributes(rng, happening.type, happening.at)
    data = _respelled(rng, happening.data)
    if rng.random() < _BINARY:
        headers = tuple((f"ce_{name}", text.encode()) for name, text in attributes.items())
        content_type: Headers = (("content-type", b"application/json"),)
        return DayRecord(topic, key.encode(), orjson.dumps(data), headers + content_type, timestamp_ms, "event")
    document = attributes | ({"subject": key} if rng.random() < 0.5 else {}) | {"data": data}
    return DayRecord(topic, key.encode(), orjson.dumps(document), (), timestamp_ms, "event")


def _attributes(rng: random.Random, event_type: str, at: datetime) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": an_id(rng, at),
        "source": f"/{event_type.partition('.')[0]}/eu-{rng.randrange(1, 4)}",
        "type": event_type,
        "time": at.isoformat().replace("+00:00", "Z"),
    }


def _key_of(data: dict[str, Any]) -> str:
    key: str = data.get("usage_id") or data.get("video_id") or data["user_id"]
    return key


def _respelled(rng: random.Random, data: dict[str, Any]) -> dict[str, Any]:
    """Now and then an id without dashes or in upper case, and a field that only a newer consumer would know."""
    if rng.random() < 0.03:
        data = data | {"user_id": data["user_id"].replace("-", "")}
    elif rng.random() < 0.03:
        data = data | {"user_id": data["user_id"].upper()}
    return data | {"from_the_future": {"x": 1}} if rng.random() < 0.02 else data


def _place(rng: random.Random, position: int, originals: int) -> float:
    """Where a record comes in: duplicates after a while, most where they belong, some late."""
    if position >= originals:
        return rng.uniform(0, originals * 1.02)
    return position + (rng.uniform(1, _LONGEST_DELAY) if rng.random() < _DELAYED else 0.0)


def _poison(rng: random.Random, happenings: list[Happening]) -> Iterator[DayRecord]:
    """A few records of each kind, made from events of the day whose aggregates nobody erases."""
    erased = {value for happening in happenings if happening.type is None for value in happening.data.values()}
    for _ in range(_POISON_ROUNDS):
        documents = [
            _document(rng, happenings, event_type, erased)
            for event_type in ("video.created", "user.created", "model_usage.recorded", "video.completed")
        ]
        for poison in poison_of(*documents):
            yield _sent(poison, documents, happenings[-1].at)


def _document(rng: random.Random, happenings: list[Happening], event_type: str, erased: set[str]) -> dict[str, Any]:
    fitting = [h for h in happenings if h.type == event_type and not erased & {str(v) for v in h.data.values()}]
    happening = rng.choice(fitting)
    return {**_attributes(rng, event_type, happening.at), "data": happening.data}


def _sent(poison: Poison, documents: list[dict[str, Any]], at: datetime) -> DayRecord:
    by_aggregate = dict(zip(("video", "user", "model_usage"), documents[:3], strict=True))
    key = poison.key
    if key == FROM_EVENT:
        key = _key_of(by_aggregate[poison.aggregate]["data"]).encode()
    return DayRecord(
        TOPICS[poison.aggregate], key, poison.value, poison.headers, int(at.timestamp() * 1000), poison.kind
    )
