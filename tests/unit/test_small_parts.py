"""Positions against logs, the limit on dead letters, known ids, waiting, settings."""

import pytest
from pydantic import ValidationError

from consumer.backoff import Backoff
from consumer.breaker import DeadLetterLimit
from consumer.errors import HaltedError
from consumer.known_ids import KnownIds
from consumer.offsets import Stored
from consumer.positions import LogState, check_position
from consumer.records import Anchor
from consumer.settings import Settings

ANCHOR = Anchor(9, 1_000, 42)
STORED = Stored(10, "here", ANCHOR)


@pytest.mark.parametrize(
    ("stored", "log", "cluster", "reason"),
    [
        (STORED, LogState(0, 20, ANCHOR), "here", None),
        (STORED, LogState(0, 10, None), "here", None),
        (STORED, LogState(10, 10, None), "here", None),
        (Stored(10, None, None), LogState(0, 20, None), "here", None),
        (STORED, LogState(0, 20, ANCHOR), None, None),
        (STORED, LogState(11, 20, None), "here", "retention"),
        (STORED, LogState(0, 9, None), "here", "truncated"),
        (STORED, LogState(0, 20, Anchor(9, 1_001, 42)), "here", "recreated"),
        (STORED, LogState(0, 20, Anchor(9, 1_000, 43)), "here", "recreated"),
        (STORED, LogState(0, 20, ANCHOR), "there", "other_cluster"),
    ],
)
def test_a_position_must_fit_its_log(stored: Stored, log: LogState, cluster: str | None, reason: str | None) -> None:
    halt = check_position(stored, log, cluster)
    assert (halt.reason if halt else None) == reason


def test_too_many_dead_letters_in_the_window_stop_the_consumer() -> None:
    limit = DeadLetterLimit(window_records=100, max_count=10, max_share=0.5)
    limit.admit(10, 9)
    with pytest.raises(HaltedError, match="10 of the last 12 records"):
        limit.admit(2, 1)


def test_many_dead_letters_among_many_more_events_do_not() -> None:
    limit = DeadLetterLimit(window_records=100, max_count=10, max_share=0.5)
    for _ in range(50):
        limit.admit(10, 4)


def test_dead_letters_of_long_ago_do_not_count() -> None:
    limit = DeadLetterLimit(window_records=20, max_count=10, max_share=0.5)
    limit.admit(9, 9)
    limit.admit(30, 0)
    limit.admit(9, 9)


def test_known_ids_forget_the_oldest_first() -> None:
    known = KnownIds(limit=3)
    known.add("abc")
    known.add("d")
    assert known.unknown("abcd") == ["a"]
    known.clear()
    assert known.unknown("abcd") == list("abcd")


def test_waits_grow_to_their_limit_and_begin_anew() -> None:
    backoff = Backoff(shortest=1.0, longest=8.0)
    delays = [backoff.next_delay() for _ in range(200)]
    assert delays[0] <= 1.0
    assert 4.0 < max(delays) <= 8.0
    assert min(delays) >= 0.5
    backoff.reset()
    assert backoff.next_delay() <= 1.0


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__URL", "postgresql+asyncpg://u:secret-word@h/d")
    monkeypatch.setenv("REELSYNC_KAFKA__TOPICS", '{"t": "user"}')
    monkeypatch.setenv("REELSYNC_BATCH__MAX_RECORDS", "7")
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert (settings.kafka.topics, settings.batch.max_records) == ({"t": "user"}, 7)
    assert "secret-word" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_there_is_no_database_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELSYNC_DATABASE__URL", raising=False)
    with pytest.raises(ValidationError, match="database"):
        Settings(_env_file=None)  # type: ignore[call-arg]
