"""A day of records, as upstream services would publish them: most are right, and some come twice, late, or broken."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import orjson

from demo.poison import FROM_EVENT, Headers, Poison, poison_of
from demo.stories import MIDNIGHT, Happening, an_id, name_swap_story, user_story, video_story

TOPICS = {"video": "video-events", "user": "user-events", "model_usage": "model-usage-events"}
_EVENTS_PER_USER = 15
"""Events for each user, including those of the user's videos."""
_LEAST = 10
"""The least number of users, and of videos, for the shortest day."""
_DUPLICATED = 0.02
_DELAYED = 0.05
_LONGEST_DELAY = 300
_BINARY = 0.15
_ELSEWHERE = timezone(timedelta(hours=2))
_POISON_ROUNDS = 3


class DayRecord(NamedTuple):
    """A record to publish. `expected` is `event`, `tombstone`, or the kind of poison."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    expected: str


class Day(NamedTuple):
    """A day's records in the order in which they reach the broker."""

    records: list[DayRecord]


def generate_day(seed: int = 1, events: int = 60_000, *, users: int | None = None, name_swaps: int = 0) -> Day:
    """About `events` records, duplicates included, and the poison. The same seed gives the same day, byte for byte.

    `users` defaults to one for 15 events; videos are made until the events are enough. No two users ever claim one
    name, except in `name_swaps` pairs of users that pass names on: their events may clash in transit, and each pair
    ends without a clash.
    """
    rng = random.Random(seed)
    happenings = sorted(_happenings(rng, events, users, name_swaps), key=lambda happening: happening.at)
    records = [_published(rng, happening) for happening in happenings]
    records += [record for record in records if rng.random() < _DUPLICATED]
    places = [_place(rng, position, len(happenings)) for position in range(len(records))]
    ordered = [record for _, record in sorted(zip(places, records, strict=True), key=lambda placed: placed[0])]
    for poison in _poison(rng, happenings):
        ordered.insert(rng.randrange(len(ordered)), poison)
    return Day(ordered)


def _happenings(rng: random.Random, events: int, users: int | None, name_swaps: int) -> list[Happening]:
    made: list[Happening] = []
    user_ids = [_new_id(rng) for _ in range(max(_LEAST, round(events / _EVENTS_PER_USER) if users is None else users))]
    for number, user_id in enumerate(user_ids):
        made += user_story(rng, number, user_id)
    for number in range(name_swaps):
        made += name_swap_story(rng, number, _new_id(rng), _new_id(rng))
    number = 0
    while number < _LEAST or len(made) * (1 + _DUPLICATED) < events:
        # A few users make most of the videos.
        favoured = min(len(user_ids) - 1, int(rng.paretovariate(0.7)) - 1)
        owner = user_ids[favoured] if rng.random() < 0.3 else rng.choice(user_ids)
        made += video_story(rng, number, _new_id(rng), owner, rng.choice(user_ids))
        number += 1
    return made


def _new_id(rng: random.Random) -> str:
    """An id of UUID version 4 or 7, as different services make them."""
    return an_id(rng, MIDNIGHT + timedelta(seconds=rng.uniform(0, 86_400)) if rng.random() < 0.5 else None)


def _published(rng: random.Random, happening: Happening) -> DayRecord:
    topic = TOPICS[happening.aggregate]
    timestamp_ms = int(happening.at.timestamp() * 1000)
    if happening.type is None:
        (row_id,) = happening.data.values()
        return DayRecord(topic, _spelled(rng, row_id).encode(), None, (), timestamp_ms, "tombstone")
    key = _key_of(happening.data)
    attributes = _attributes(rng, happening.type, happening.at)
    data = _respelled(rng, happening.data)
    if rng.random() < _BINARY:
        in_headers = tuple((f"ce_{name}", text.encode()) for name, text in attributes.items())
        headers: Headers = (*in_headers, ("content-type", b"application/json"))
        return DayRecord(topic, key.encode(), orjson.dumps(data), headers, timestamp_ms, "event")
    document = attributes | ({"subject": key} if rng.random() < 0.5 else {}) | {"data": data}
    named: Headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    headers = named if rng.random() < 0.2 else ()
    return DayRecord(topic, key.encode(), orjson.dumps(document), headers, timestamp_ms, "event")


def _attributes(rng: random.Random, event_type: str, at: datetime) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": an_id(rng, at),
        "source": f"/{event_type.partition('.')[0]}/eu-{rng.randrange(1, 4)}",
        "type": event_type,
        "time": _time(rng, at),
    }


def _time(rng: random.Random, at: datetime) -> str:
    """The time, sometimes with another offset, or with more digits than a microsecond needs."""
    chance = rng.random()
    if chance < 0.02:
        return at.astimezone(_ELSEWHERE).isoformat()
    utc = at.isoformat(timespec="microseconds").removesuffix("+00:00")
    return f"{utc}{'789Z' if chance < 0.04 else 'Z'}"


def _key_of(data: dict[str, Any]) -> str:
    key: str = data.get("usage_id") or data.get("video_id") or data["user_id"]
    return key


def _respelled(rng: random.Random, data: dict[str, Any]) -> dict[str, Any]:
    """Sometimes write an id in another form, or add a field that only newer consumers know."""
    if rng.random() < 0.06:
        name = rng.choice([name for name in ("usage_id", "video_id", "user_id") if name in data])
        data = data | {name: _spelled(rng, data[name])}
    return data | {"from_the_future": {"x": 1}} if rng.random() < 0.02 else data


def _spelled(rng: random.Random, canonical: str) -> str:
    return rng.choice((canonical, canonical.replace("-", ""), canonical.upper()))


def _place(rng: random.Random, position: int, originals: int) -> float:
    """Choose where a record goes: a duplicate comes later, most come in order, and some late."""
    if position >= originals:
        return rng.uniform(0, originals * 1.02)
    return position + (rng.uniform(1, _LONGEST_DELAY) if rng.random() < _DELAYED else 0.0)


def _poison(rng: random.Random, happenings: list[Happening]) -> Iterator[DayRecord]:
    """A few records of each kind, made from events of the day whose aggregates are not erased."""
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
