"""One run, counted three times: by what was sent, by our metrics, and by PostgreSQL's own pg_stat_statements."""

import asyncio
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from reelsync.migrations.runner import upgrade
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, usage, user, video
from tests.support.roles import RUN_ROLE, TEST_SCHEMA, create_roles
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.tls_postgres import debian_binaries

DATABASE = "timed"
KINDS = {
    "offsets.home": r"SELECT concat_ws\(",
    "offsets.fence": r"WITH w AS MATERIALIZED",
    "offsets.read": r"SELECT o\.topic, o\.partition, o\.next_offset",
    "offsets.create": r"INSERT INTO consumer_offsets",
    "users.known": r"SELECT users\.id",
    "users.names": r"SELECT id, account_version, username, email, deletion_version",
    "videos.known": r"SELECT videos\.id",
    "users.merge": r"INSERT INTO users \(",
    "user_profiles.merge": r"INSERT INTO user_profiles \(",
    "videos.merge": r"INSERT INTO videos \(",
    "model_usage.merge": r"INSERT INTO model_usage \(",
    "dead_letters.park": r"INSERT INTO dead_letters \(",
    "erasure.states": r"SELECT EXISTS \(SELECT FROM video_states",
    "erasure.known": r"WITH found AS MATERIALIZED \( SELECT digest FROM erased_users",
    "dead_letters.erase": r"UPDATE dead_letters d SET .* WHERE \(d\.aggregate_id = ANY",
    "dead_letters.expire": r"UPDATE dead_letters (d )?SET key = .* WHERE (ctid|d\.consumer_group) ?=",
    "redrive.lock": r"WITH free AS \(SELECT FROM letter_locks",
    "redrive.parked": r"SELECT dead_letters\.topic, dead_letters\.partition",
    "redrive.names": r"SELECT id, username, email FROM users",
    "redrive.lock_users": r"SELECT id, account_version FROM users",
    "redrive.release_names": r"UPDATE users SET username",
    "redrive.close": r"WITH r AS MATERIALIZED .* UPDATE dead_letters d SET state",
    "commit": r"COMMIT$",
    "rollback": r"ROLLBACK$",
}
"""The statements of each name, as whoever looks into pg_stat_statements would tell them apart."""
UTILITIES = {
    "savepoint": "SAVEPOINT ",
    "savepoint.release": "RELEASE SAVEPOINT ",
    "dead_letters.lock": "LOCK TABLE erasure_lock ",
}
OF_THE_DRIVER = (
    "BEGIN",
    "select ",
    "show ",
    "WITH RECURSIVE typeinfo_tree",
    "SELECT current_setting",
    "SELECT set_config",
)
"""What asyncpg and SQLAlchemy send besides: with the first statement of a transaction, or to set a connection up."""
LETTERS = 4
"""Three records that are no events, and a name in conflict."""


class Watched(NamedTuple):
    """A server, what it logs, and how the consumer logs in."""

    server: EmbeddedPostgres
    log: Path
    run_url: str


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """A server that counts its statements."""
    directory = Path(tempfile.mkdtemp(prefix="reelsync-watched-"))
    settings = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track_utility": "on",
        "log_statement": "all",
    }
    with EmbeddedPostgres(directory, durable=False, settings=settings, binaries=debian_binaries()) as server:
        server.create_database(DATABASE)
        asyncio.run(upgrade(create_roles(server.url(), database=DATABASE).migrate_url, schema=TEST_SCHEMA))
        yield Watched(server, directory / "log", create_roles(server.url(), database=DATABASE).run_url)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
async def onlooker(watched: Watched) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(watched.server.url(DATABASE), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"))
        await connection.execute(text("SELECT pg_stat_statements_reset()"))
        yield connection
    await engine.dispose()


async def test_metrics_events_and_the_servers_own_counts_agree(
    settings: Settings, watched: Watched, onlooker: AsyncConnection
) -> None:
    """Duplicates, poison, an erasure, references, and a name in conflict that is redriven."""
    consumer = await a_run_of_everything(settings, watched)
    calls, seconds = timings(consumer)
    theirs = await statements_of(onlooker)

    known = (*KINDS.values(), *UTILITIES.values(), *OF_THE_DRIVER)
    assert [query for query in theirs if not any(re.match(kind, query) for kind in known)] == []
    for name, kind in KINDS.items():
        told = [counted for query, counted in theirs.items() if re.match(kind, query)]
        if name == "rollback":
            # One ends what SQLAlchemy asks of the first connection: a part of `connect`.
            told.append(Counted(-1, 0.0))
        if name == "dead_letters.park":
            # One statement with a set of parameters for each letter.
            assert sum(counted.calls for counted in told) == LETTERS
            assert 1 <= calls[name] <= LETTERS
        else:
            assert calls[name] == sum(counted.calls for counted in told), name
        assert calls[name], f"{name} was not a part of the run"
        assert seconds[name] >= sum(counted.seconds for counted in told), name

    # PostgreSQL 15 counts a prepared SAVEPOINT or LOCK the first time only, so here its log counts. Failed statements
    # are in neither: `calls` are those that succeeded.
    log = [line for line in watched.log.read_text().splitlines() if "execute" in line]
    for name, beginning in UTILITIES.items():
        assert calls[name] == sum(f": {beginning}" in line for line in log) > 0, name
    # Nor does it count what is read through a cursor that is closed before its end.
    read = [line for line in log if ": SELECT dead_letters.topic" in line and "execute fetch from" not in line]
    assert calls["dead_letters.next"] + calls["redrive.parked"] == len(read) > calls["redrive.parked"]


async def a_run_of_everything(settings: Settings, watched: Watched) -> Consumer:
    ours, onlookers = at(settings, watched.run_url), at(settings, watched.server.url(DATABASE))
    video_topic, user_topic, usage_topic = (topic_of(settings, about) for about in ("video", "user", "model_usage"))
    videos = [(an_id(n).encode(), video("created", n, owner=n % 7)) for n in range(300)]
    await publish(settings, video_topic, [*videos, *videos[:100], (an_id(1).encode(), video("completed", 1, 2))])
    await publish(settings, user_topic, [(an_id(1000 + n).encode(), user("created", n)) for n in range(10)])
    await publish(settings, user_topic, [(an_id(1001).encode(), user("profile_updated", 1, 2))])
    await publish(settings, user_topic, [(b"?", b"not json")] * 3)
    await publish(settings, usage_topic, [(an_id(n).encode(), usage(n, n)) for n in range(50)])
    async with consuming(ours) as consumer:
        await until_applied(onlookers)
        await publish(settings, video_topic, [(an_id(2).encode(), None)])
        # Somebody takes a name that another gives up, and that other event is late.
        taken = [user("created", 12), user("updated", 12, 2, username="user_1")]
        await publish(settings, user_topic, [(an_id(1012).encode(), event) for event in taken])
        # References that are new, and of rows that an earlier batch has made.
        await publish(settings, usage_topic, [(an_id(5).encode(), usage(60, 5)), (an_id(900).encode(), usage(61, 900))])
        await until_applied(onlookers)
        renamed = user("updated", 1, 3, username="renamed", email="renamed@example.com")
        await publish(settings, user_topic, [(an_id(1001).encode(), renamed)])

        async def redriven() -> bool:
            return "redriven" in {row["state"] for row in await rows_of(onlookers, "dead_letters")}

        await eventually(redriven, "the conflict is redriven")
    assert_counts(consumer)
    return consumer


def assert_counts(consumer: Consumer) -> None:
    """What was sent above, counted by hand."""
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in consumer.metrics.registry.collect()
        for sample in family.samples
    }

    def events(event_type: str, outcome: str = "accepted") -> float:
        return found["reelsync_events_total", event_type, outcome]

    assert events("video.created") == 400
    assert events("video.completed") == events("video.tombstone") == 1
    assert events("user.created") == 11
    assert events("user.profile_updated") == 1
    assert events("model_usage.recorded") == 52
    assert (events("user.updated"), events("user.updated", "rejected"), events("other", "rejected")) == (1, 1, 3)
    assert found["reelsync_dead_letters_total", "not_json"] == 3
    assert found["reelsync_dead_letters_total", "conflict"] == 1
    assert found["reelsync_rows_total", "model_usage", "written"] == 52
    assert found["reelsync_rows_total", "user_profiles", "written"] == 1
    assert found["reelsync_batch_records_sum",] == 400 + 1 + 1 + 11 + 1 + 52 + 2 + 3
    assert found["reelsync_version_conflicts_total",] == 0


class Counted(NamedTuple):
    calls: int
    seconds: float


async def statements_of(onlooker: AsyncConnection) -> dict[str, Counted]:
    """What the consumer's role has sent, as the server counts it."""
    asked = text(
        "SELECT query, sum(calls) AS calls, sum(total_exec_time) / 1000 AS seconds FROM pg_stat_statements s "
        "JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = :role GROUP BY query"
    )
    rows = await onlooker.execute(asked, {"role": RUN_ROLE})
    return {" ".join(row.query.split()): Counted(int(row.calls), row.seconds) for row in rows}


def timings(consumer: Consumer) -> tuple[Counter[str], dict[str, float]]:
    """Calls that succeeded and their seconds, by name, as our histogram has them."""
    calls, seconds = Counter[str](), defaultdict[str, float](float)
    for sample in next(iter(consumer.metrics.query_seconds.collect())).samples:
        name = sample.labels["query_name"]
        if sample.labels["error_type"]:
            continue
        if sample.name.endswith("_count"):
            calls[name] += int(sample.value)
        elif sample.name.endswith("_sum"):
            seconds[name] += sample.value
    return calls, seconds


def at(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": SecretStr(url)})})
