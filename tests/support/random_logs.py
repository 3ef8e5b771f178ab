"""Random logs that keep the contract: one rising sequence of versions for each aggregate, and no names that clash."""

import random
from typing import Any

from tests.support.builders import an_id, record, usage, user, video

VIDEO_KINDS = ("created", "updated", "processing", "progressed", "completed", "failed", "deleted", "restored")
USER_KINDS = (
    "created",
    "updated",
    "preferences_changed",
    "activated",
    "deactivated",
    "logged_in",
    "profile_updated",
    "deleted",
    "restored",
)


def random_log(seed: int, users: int = 6, videos: int = 12, events: int = 120) -> list[Any]:
    """Records of all kinds: owner changes, erasures, profiles and facts among them. Offsets are not set."""
    rng = random.Random(seed)
    versions: dict[str, int] = {}
    log: list[Any] = []
    for number in range(events):
        choice = rng.random()
        if choice < 0.6:
            of = rng.randrange(videos)
            version = versions[f"v{of}"] = versions.get(f"v{of}", 0) + rng.choice((1, 1, 1, 3))
            kind = rng.choice(VIDEO_KINDS)
            extra = {"progress": rng.randrange(101)} if kind == "progressed" else {}
            owner = of % users if rng.random() < 0.9 else rng.randrange(users)
            log.append(record(video(kind, of, version, owner, **extra)))
        elif choice < 0.85:
            of = rng.randrange(users)
            version = versions[f"u{of}"] = versions.get(f"u{of}", 0) + 1
            kind = rng.choice(USER_KINDS)
            extra = {"username": f"user_{of}_{version}"} if kind in {"created", "updated"} else {}
            log.append(record(user(kind, of, version, **extra), topic="user-events"))
        elif choice < 0.96:
            log.append(record(usage(number, rng.randrange(videos), rng.randrange(users)), topic="model-usage-events"))
        else:
            log.append(_tombstone(rng, users, videos))
    return log


def _tombstone(rng: random.Random, users: int, videos: int) -> Any:
    timestamp = 1_767_607_200_000 + rng.randrange(1_000_000)
    if rng.random() < 0.5:
        return record(None, key=an_id(rng.randrange(videos)).encode(), timestamp=timestamp)
    key = an_id(1000 + rng.randrange(users)).encode()
    return record(None, key=key, timestamp=timestamp, topic="user-events")
