"""What is published: facts, events of videos and users in versions that rise, and records that nobody can apply."""

from functools import lru_cache
from typing import Any

from reelsync.consumer.records import Record
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection, decoder
from reelsync.events import WireEvent
from tests.support.builders import an_id, usage, user, video

from .kafka import Effect, Log, SimulatedKafka
from .statements import REFUSED
from .world import World

VIDEOS = 5
_VIDEO_KINDS = ("created", "processing", "progressed", "completed", "updated")
_USER_KINDS = ("created", "logged_in", "deactivated", "preferences_changed")
_LETTER = Effect("letter")
_decode = decoder(DEFAULT_TOPICS, 10_000)
_decoded: dict[tuple[bytes | None, str], WireEvent | Rejection] = {}


def decode(record: Record) -> WireEvent | Rejection:
    """The consumer's own verdict. It is pure, so that a value is decoded once for all seeds."""
    told = (record.value, record.topic)
    verdict = _decoded.get(told)
    if verdict is None:
        verdict = _decoded[told] = _decode(record)
    return verdict._replace(record=record) if isinstance(verdict, Rejection) else verdict


class Publishers:
    """Publishes records by the seed's choice. The events of a video, or of a user, are in one partition."""

    def __init__(self, world: World, kafka: SimulatedKafka) -> None:
        self._world = world
        self._kafka = kafka
        self._facts = 0
        self._versions: dict[tuple[str, int], int] = {}

    def publish(self, count: int) -> None:
        """Publish so many records, some of them with offsets between them that have none."""
        rng = self._world.rng
        topics = sorted(self._kafka.topics)
        for _ in range(count):
            logs = self._kafka.topics[rng.choice(topics)]
            choice = rng.random()
            if choice < 0.55:
                number, self._facts = self._facts, self._facts + 1
                rng.choice(logs).append(*_fact(number, is_refused=rng.random() < self._world.rates.get("refusal", 0)))
            elif choice < 0.93:
                self._append_version(logs, "video" if choice < 0.8 else "user")
            else:
                rng.choice(logs).append(b"not json", None, _LETTER)
            if rng.random() < self._world.rates.get("gap", 0):
                rng.choice(logs).skip(rng.randrange(1, 4))
        self._kafka.changed()

    def _append_version(self, logs: list[Log], aggregate: str) -> None:
        number = self._world.rng.randrange(VIDEOS)
        version = self._versions.get((aggregate, number), 0) + 1
        self._versions[aggregate, number] = version
        again = version > 1 and self._world.rng.random() < 0.1
        logs[number % len(logs)].append(*_version(aggregate, number, version - again))


@lru_cache(maxsize=4_096)
def _fact(number: int, *, is_refused: bool) -> tuple[bytes, bytes | None, Effect]:
    of_video = number * 7 % VIDEOS
    options: dict[str, Any] = {"model_name": REFUSED} if is_refused else {}
    value = usage(number, of_video, of_video % 3, **options)
    return value, None, _LETTER if is_refused else Effect("fact", "model_usage", an_id(2000 + number))


@lru_cache(maxsize=4_096)
def _version(aggregate: str, number: int, version: int) -> tuple[bytes, bytes, Effect]:
    kinds = _VIDEO_KINDS if aggregate == "video" else _USER_KINDS
    kind = kinds[version % len(kinds)]
    if aggregate == "video":
        value, row_id = video(kind, number, version, number % 3), an_id(number)
    else:
        value, row_id = user(kind, number, version), an_id(1000 + number)
    return value, row_id.encode(), Effect("row", f"{aggregate}s", row_id, version)
