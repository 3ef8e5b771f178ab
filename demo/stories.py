"""The stories of users and videos: what happens to each over one day, in order."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
_DAY_SECONDS = 86_400.0
_USERS_TO_ONE_FORGOTTEN = 250
_VIDEOS_TO_ONE_FORGOTTEN = 330
_FIRST_FORGOTTEN = 7
_ADJECTIVES = ("amber", "brisk", "calm", "deft", "eager", "fuzzy", "green", "happy", "ivory", "jolly", "keen", "lunar")
_NOUNS = ("badger", "comet", "delta", "ember", "falcon", "garnet", "harbor", "island", "juniper", "kestrel", "lantern")
_TOPICS = ("onboarding", "product tour", "quarterly review", "recipe", "safety briefing", "travel diary", "lesson")
_MODELS = {"voice-2": "tts", "lipsync-xl": "lip_sync", "avatar-3": "avatar", "translate-1": "translation"}
_ERRORS = ("render_timeout", "gpu_out_of_memory", "voice_not_found", "upload_failed")


class Happening(NamedTuple):
    """Something that happened: its time, its type, and the event's data. Type None is an erasure."""

    at: datetime
    type: str | None
    data: dict[str, Any]
    aggregate: str


def an_id(rng: random.Random, at: datetime | None = None) -> str:
    """A UUID: version 7 with a time, version 4 without."""
    if at is None:
        return str(UUID(int=rng.getrandbits(128), version=4))
    head = int(at.timestamp() * 1000) << 80
    bits = head | (7 << 76) | (rng.getrandbits(12) << 64) | (2 << 62) | rng.getrandbits(62)
    return str(UUID(int=bits))


def user_story(rng: random.Random, number: int, user_id: str) -> Iterator[Happening]:  # noqa: C901 - a life
    """A user signs up and uses the product. A few change their name, are deleted, are restored, or are erased."""
    clock, version = _times(rng, 0.6), 0
    name = f"{rng.choice(_ADJECTIVES)}_{rng.choice(_NOUNS)}_{number}"

    def happens(kind: str, **data: Any) -> Happening:
        nonlocal version
        version += rng.choice((1, 1, 1, 2))
        return Happening(next(clock), f"user.{kind}", {"user_id": user_id, "version": version} | data, "user")

    def account(name: str) -> dict[str, Any]:
        return {"username": name, "email": f"{name}@example.com"}

    preferences = {"theme": rng.choice(("dark", "light")), "captions": {"size": rng.randrange(8, 30), "on": True}}
    yield happens("created", **account(name), preferences=preferences)
    if rng.random() < 0.4:
        yield happens(
            "profile_updated", company=f"{rng.choice(_NOUNS).title()} Ltd", locale=rng.choice(("en-GB", "pt-BR"))
        )
    for _ in range(rng.randrange(4)):
        yield happens("logged_in")
    if rng.random() < 0.1:
        yield happens(
            "updated", **account(f"{name}_{rng.randrange(10)}x"), avatar_url=f"https://cdn.example.com/{number}.png"
        )
    if rng.random() < 0.15:
        yield happens("preferences_changed", preferences={"theme": "system", "beta": [1, 2.5, None, "déjà vu"]})
    if rng.random() < 0.05:
        yield happens("deactivated")
        yield happens("activated")
    if rng.random() < 0.04:
        yield happens("deleted")
        if rng.random() < 0.5:
            yield happens("restored")
    if number % _USERS_TO_ONE_FORGOTTEN == _FIRST_FORGOTTEN:
        yield Happening(next(clock), None, {"user_id": user_id}, "user")


def name_swap_story(rng: random.Random, number: int, first: str, second: str) -> Iterator[Happening]:
    """Two users, one of whom takes the other's name: in a swap, after a rename, or after a deletion.

    At the source no two users have one name at any time. But their events may overtake each other on the way, and then
    they conflict.
    """
    clock, versions = _times(rng, 0.8), {first: 0, second: 0}
    noun = rng.choice(_NOUNS)
    one, other, free = (f"{noun}_swap{number}_{part}" for part in ("one", "other", "free"))

    def happens(kind: str, user_id: str, name: str | None = None) -> Happening:
        versions[user_id] += 1
        account = {"username": name, "email": f"{name}@example.com"} if name else {}
        data = {"user_id": user_id, "version": versions[user_id]} | account
        return Happening(next(clock), f"user.{kind}", data, "user")

    yield happens("created", first, one)
    yield happens("created", second, other)
    if number % 3 == 2:
        yield happens("deleted", first)
    else:
        yield happens("updated", first, free)
    yield happens("updated", second, one)
    if number % 3 == 0:
        yield happens("updated", first, other)


def video_story(rng: random.Random, number: int, video_id: str, owner: str, heir: str) -> Iterator[Happening]:
    """A video is requested, rendered (sometimes after failures) and edited. A few get a new owner or are erased."""
    clock, version = _times(rng, 0.8), 0

    def happens(kind: str, **data: Any) -> Happening:
        nonlocal version
        version += 1
        return Happening(
            next(clock), f"video.{kind}", {"video_id": video_id, "user_id": owner, "version": version} | data, "video"
        )

    details = {"title": f"{rng.choice(_TOPICS).title()} {number}", "resolution": rng.choice(("1920x1080", "3840x2160"))}
    yield happens("created", **details, voice_id=f"voice-{rng.randrange(40)}", language=rng.choice(("en", "de", "ja")))
    for attempt in range(3):
        yield happens("processing")
        for progress in sorted(rng.sample(range(1, 100), rng.randrange(1, 4))):
            yield happens("progressed", progress=progress)
        yield _usage(rng, next(clock), video_id, owner)
        if rng.random() < 0.85:
            yield happens("completed", **_output(rng, number))
            break
        data = {"error_code": rng.choice(_ERRORS), "error_message": f"attempt {attempt + 1} gave up"}
        yield happens("failed", **(data if rng.random() < 0.5 else data | {"progress": rng.randrange(100)}))
    if rng.random() < 0.15:
        yield happens("updated", title=f"{details['title']} (final)", description="Now with captions. ✓")
    if rng.random() < 0.02:
        owner = heir
        yield happens("updated", **details)
    if rng.random() < 0.05:
        yield happens("deleted")
        if rng.random() < 0.3:
            yield happens("restored")
    if number % _VIDEOS_TO_ONE_FORGOTTEN == _FIRST_FORGOTTEN:
        yield Happening(next(clock), None, {"video_id": video_id}, "video")


def _output(rng: random.Random, number: int) -> dict[str, Any]:
    url = f"https://cdn.example.com/videos/{number}"
    return {
        "output_url": f"{url}.mp4",
        "thumbnail_url": f"{url}.jpg" if rng.random() < 0.9 else None,
        "duration_seconds": round(rng.uniform(5, 600), 3),
        "processing_time": round(rng.lognormvariate(3.5, 0.8), 3),
        "file_size": rng.randrange(200_000, 300_000_000),
    }


def _usage(rng: random.Random, at: datetime, video_id: str, owner: str) -> Happening:
    model = rng.choice(sorted(_MODELS))
    data = {
        "usage_id": an_id(rng, at),
        "video_id": video_id,
        "user_id": owner,
        "model_name": model,
        "model_type": _MODELS[model],
        "input_units": rng.randrange(10, 5_000),
        "output_units": rng.randrange(10, 50_000) if rng.random() < 0.8 else None,
        "duration_seconds": round(rng.uniform(0.1, 90), 2),
        "cost_usd": f"{rng.randrange(1, 4_000_000) / 1_000_000:.6f}",
    }
    return Happening(at, "model_usage.recorded", data, "model_usage")


def _times(rng: random.Random, latest: float) -> Iterator[datetime]:
    at = MIDNIGHT + timedelta(seconds=rng.uniform(0, _DAY_SECONDS * latest))
    while True:
        yield at
        at += timedelta(seconds=rng.expovariate(1 / 240), microseconds=rng.randrange(1_000_000))
