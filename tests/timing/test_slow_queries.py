"""What is said of a slow statement: enough to find it, and nothing of its parameters."""

from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import text
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from reelsync.consumer.settings import Settings
from reelsync.consumer.telemetry.logs import batch_id
from reelsync.consumer.timing.query_timing import QueryTiming, attach_query_timing
from reelsync.consumer.timing.slow_queries import SlowQueries, shortened
from reelsync.models.engine import create_engine
from tests.support.builders import an_id, video
from tests.support.running import consuming, publish, topic_of, until_applied
from tests.timing.listening import listening


def counter() -> Counter:
    return Counter("db_client_slow_queries", "", ("query_name",), registry=CollectorRegistry())


@pytest.mark.parametrize(("seconds", "level"), [(0.05, None), (0.1, "info"), (0.9, "info"), (1.0, "warning")])
def test_two_limits(seconds: float, level: str | None) -> None:
    slow = counter()
    with capture_logs() as logs:
        SlowQueries(slow)(QueryTiming("videos.merge", seconds, 12, "INSERT\n  INTO   videos"))
    assert [entry["log_level"] for entry in logs] == ([level] if level else [])
    assert slow.labels("videos.merge")._value.get() == (level == "warning")
    for entry in logs:
        assert entry == {
            "event": "query.slow",
            "log_level": level,
            "query_name": "videos.merge",
            "seconds": seconds,
            "rows": 12,
            "statement": "INSERT INTO videos",
        }


def test_a_long_statement_is_cut() -> None:
    said = shortened(f"SELECT\n\t {'a, ' * 1_000_000}")
    assert (len(said), said[:13], said[-1]) == (200, "SELECT a, a, ", "…")


async def test_a_slow_statement_has_no_parameters(operator_url: str) -> None:
    engine, slow = create_engine(operator_url), counter()
    attach_query_timing(engine, SlowQueries(slow, noticeable_seconds=0.0, slow_seconds=0.0))
    with capture_logs() as logs:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT CAST(:secret AS text)"), {"secret": "swordfish"})
    await engine.dispose()
    assert "SELECT CAST($1 AS text)" in [entry.get("statement") for entry in logs]
    assert "swordfish" not in str(logs)


async def test_the_lines_of_a_batch_have_its_id(settings: Settings) -> None:
    """And those of no batch have none."""
    log = settings.log.model_copy(update={"noticeable_query_seconds": 1e-9, "slow_query_seconds": 1e-9})
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(5)])
    with capture_logs(processors=[merge_contextvars]) as logs:
        async with consuming(settings.model_copy(update={"log": log})):
            await until_applied(settings)
    lines = [entry for entry in logs if entry["event"] == "query.slow"]
    of_batches: dict[str, list[Any]] = {}
    for line in lines:
        if "batch_id" in line:
            of_batches.setdefault(line["batch_id"], []).append(line["query_name"])
    assert of_batches
    assert all(names[-1] == "commit" and "offsets.fence" in names for names in of_batches.values())
    assert {line["query_name"] for line in lines if "batch_id" not in line} >= {"offsets.create", "offsets.read"}


def test_ids_are_not_used_twice() -> None:
    with batch_id() as first:
        assert structlog.contextvars.get_contextvars() == {"batch_id": first}
    with batch_id() as second:
        pass
    assert first != second
    assert structlog.contextvars.get_contextvars() == {}


async def test_what_never_got_a_connection_is_slow_too(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.connect():
            pass
        with capture_logs() as logs:
            for timing in heard:
                SlowQueries(counter(), noticeable_seconds=0.0)(timing)
        assert [entry["query_name"] for entry in logs] == ["pool.wait", "connect"]
        assert all("statement" not in entry for entry in logs)
