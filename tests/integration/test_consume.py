"""Events in the log become rows, exactly once in effect."""

from collections import Counter

from sqlalchemy import text

from reelsync.consumer.app import Consumer
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, usage, user, video
from tests.support.running import consuming, publish, rows_of, tables_of, topic_of, until_applied


async def test_every_kind_of_event_becomes_rows(settings: Settings) -> None:
    await publish(
        settings, topic_of(settings, "user"), [(b"u", user("created")), (b"u", user("profile_updated", version=2))]
    )
    life = [
        video("created"),
        video("processing", version=2),
        video("progressed", version=3),
        video("completed", version=4),
    ]
    await publish(settings, topic_of(settings, "video"), [(b"v", value) for value in life])
    await publish(settings, topic_of(settings, "model_usage"), [(b"m", usage())])
    async with consuming(settings):
        await until_applied(settings)
    tables = await tables_of(settings)
    assert [(row["username"], row["version"]) for row in tables["users"]] == [("user_1", 2)]
    assert [row["full_name"] for row in tables["user_profiles"]] == ["Somebody"]
    assert [(row["title"], row["status"], row["progress"]) for row in tables["videos"]] == [
        ("Video 1", "completed", 100)
    ]
    assert [str(row["cost_usd"]) for row in tables["model_usage"]] == ["0.012500"]


async def test_a_second_consumer_of_the_whole_log_changes_no_row(settings: Settings) -> None:
    await publish(settings, topic_of(settings, "video"), [(an_id(n).encode(), video("created", n)) for n in range(200)])
    async with consuming(settings):
        await until_applied(settings)
    before = await tables_of(settings)
    versions = await _row_versions(settings)
    again = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"group_id": "another"})})
    async with consuming(again) as consumer:
        await until_applied(again)
        assert (
            consumer.metrics.registry.get_sample_value(
                "reelsync_rows_total", {"table": "videos", "outcome": "unchanged"}
            )
            == 200
        )
    assert await tables_of(settings) == before
    assert await _row_versions(settings) == versions


async def test_poison_becomes_a_dead_letter_and_its_neighbours_become_rows(settings: Settings) -> None:
    values = [video("created", 1), b"\xff\xfe not json", video("progressed", 2, progress=101), video("created", 3)]
    await publish(settings, topic_of(settings, "video"), [(b"same", value) for value in values])
    async with consuming(settings) as consumer:
        await until_applied(settings)
        assert counted(consumer) == {"accepted": 2, "rejected": 2}
    assert [row["title"] for row in await rows_of(settings, "videos")] == ["Video 1", "Video 3"]
    letters = await rows_of(settings, "dead_letters", order='"offset"')
    assert [(row["offset"], row["stage"], row["reason"], row["value"]) for row in letters] == [
        (1, "decode", "not_json", values[1]),
        (2, "validate", "invalid", values[2]),
    ]


def counted(consumer: Consumer) -> dict[str, int]:
    """Records by verdict, as the metrics have them."""
    (family,) = [metric for metric in consumer.metrics.registry.collect() if metric.name == "reelsync_events"]
    sums: Counter[str] = Counter()
    for sample in family.samples:
        if sample.name.endswith("_total"):
            sums[sample.labels["outcome"]] += int(sample.value)
    return dict(sums)


async def _row_versions(settings: Settings) -> list[tuple[object, ...]]:
    """Where each row version lies: a write of any kind would move it."""
    engine = engine_of(settings.database)
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT id, xmin::text, ctid::text FROM videos ORDER BY id"))).all()
    await engine.dispose()
    return [tuple(row) for row in rows]
