"""The database goes away, refuses, hangs, or does what was asked and does not say so, while records flow."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.settings import Settings
from tests.faults.campaign import AT_THE_FENCE, LONG, ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.faults.proxy import TcpProxy
from tests.services.contract import DatabaseServer
from tests.support.running import eventually

Take = Callable[[Outcome], None]
HOLE_SECONDS = 60 if LONG else 5
TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND usename = 'reelsync_run' AND {}"
)
SLOW_COMMIT = (
    """
    CREATE FUNCTION wait_in_commit() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END'
    """,
    """
    CREATE CONSTRAINT TRIGGER wait_in_commit AFTER UPDATE ON consumer_offsets
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_in_commit()
    """,
)


def through(proxy: TcpProxy, settings: Settings) -> Settings:
    """The same settings, with the database behind the proxy."""
    url = make_url(settings.database.url.get_secret_value()).set(host="127.0.0.1", port=proxy.port)
    behind = SecretStr(url.render_as_string(hide_password=False))
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": behind})})


@asynccontextmanager
async def a_session_of_its_own(campaign: Campaign) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(campaign.operator.engine.url, poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def logged(consumer: ConsumerProcess, event: str, error: str) -> None:
    async def found() -> bool:
        return consumer.mentions(event, error) > 0

    await eventually(found, f"{event} with {error}: {consumer.said()}")


async def test_postgresql_crashes_and_recovers(campaign: Campaign, postgres: DatabaseServer, outcomes: Take) -> None:
    with campaign.consumer() as first, campaign.consumer() as second:
        for _ in range(ROUNDS):
            async with campaign.flow(400):
                await campaign.progress(campaign.rng.randrange(1, 200))
                postgres.restart("immediate")
                await campaign.reconnect()
            await campaign.recover()
        failed = first.count("batch.failed") + second.count("batch.failed")
    outcomes(await campaign.judge("PostgreSQL crashes and restarts", failed))


async def test_backends_are_terminated_in_their_transactions(campaign: Campaign, outcomes: Take) -> None:
    terminated = 0
    with campaign.consumer():
        await campaign.apply(20)
        for _ in range(ROUNDS):
            async with campaign.held_back():
                await campaign.publish(300)
                await eventually(campaign.waits_at_the_fence, "a transaction is under way")
                terminated += await campaign.operator.scalar(text(TERMINATE.format(AT_THE_FENCE)))
            await campaign.recover()
    outcomes(await campaign.judge("backend terminated before COMMIT", terminated))


async def test_backends_are_terminated_in_commit(campaign: Campaign, outcomes: Take) -> None:
    """A deferred trigger holds transactions in COMMIT, where the outcome is anybody's guess to the client."""
    for statement in SLOW_COMMIT:
        await campaign.operator.execute(text(statement))
    in_commit = "query ILIKE 'commit%' AND wait_event = 'advisory'"
    terminated = 0
    with campaign.consumer():
        await campaign.apply(20)
        for _ in range(ROUNDS):
            async with a_session_of_its_own(campaign) as holder:
                await holder.execute(text("SELECT pg_advisory_lock(4711)"))
                await campaign.publish(200)

                async def caught() -> bool:
                    nonlocal terminated
                    now = await campaign.operator.scalar(text(TERMINATE.format(in_commit)))
                    terminated += now
                    return bool(now)

                await eventually(caught, "a backend was caught in COMMIT")
            await campaign.recover()
    outcomes(await campaign.judge("backend terminated in COMMIT", terminated))


async def test_replies_to_commit_are_lost(campaign: Campaign, postgres_proxy: TcpProxy, outcomes: Take) -> None:
    with campaign.consumer(settings=through(postgres_proxy, campaign.settings)):
        await campaign.apply(20)
        for _ in range(ROUNDS):
            with postgres_proxy.losing_commit_replies(every=3):
                await campaign.publish(400)
                await campaign.recover()
    outcomes(await campaign.judge("reply to COMMIT lost", postgres_proxy.happened["lost commit reply"]))


async def test_the_database_vanishes_in_a_black_hole(
    campaign: Campaign, postgres_proxy: TcpProxy, outcomes: Take
) -> None:
    with campaign.consumer(settings=through(postgres_proxy, campaign.settings)) as consumer:
        await campaign.apply(20)
        with postgres_proxy.black_hole():
            await campaign.publish(400)
            await logged(consumer, "batch.failed", "Timeout")
            await campaign.stays_silent(HOLE_SECONDS)
        await campaign.recover()
    outcomes(await campaign.judge(f"database in a black hole, {HOLE_SECONDS} s", postgres_proxy.happened["swallowed"]))


@pytest.mark.parametrize(
    ("change", "undo", "error"),
    [
        (
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            "ALTER DATABASE {} RESET default_transaction_read_only",
            "25006",
        ),
        ("ALTER DATABASE {} CONNECTION LIMIT 0", "ALTER DATABASE {} CONNECTION LIMIT -1", "53300"),
        ("ALTER ROLE reelsync_run NOLOGIN", "ALTER ROLE reelsync_run LOGIN", "28000"),
    ],
    ids=["read-only", "too many connections", "login refused"],
)
async def test_the_database_refuses_for_a_while(
    campaign: Campaign, operator_url: str, outcomes: Take, change: str, undo: str, error: str
) -> None:
    name = make_url(operator_url).database
    with campaign.consumer() as consumer:
        await campaign.apply(20)
        await campaign.operator.execute(text(change.format(name)))
        try:
            await campaign.operator.execute(text(TERMINATE.format("true")))
            await campaign.publish(300)
            await logged(consumer, "batch.failed", error)
        finally:
            await campaign.operator.execute(text(undo.format(name)))
            await campaign.operator.execute(text(TERMINATE.format("true")))
        refused = consumer.mentions("batch.failed", error)
        await campaign.recover()
    outcomes(await campaign.judge(f"database refuses, SQLSTATE {error}", refused))


async def test_a_migration_holds_the_tables(campaign: Campaign, outcomes: Take) -> None:
    with campaign.consumer() as consumer:
        await campaign.apply(20)
        for _ in range(ROUNDS):
            before = consumer.mentions("batch.failed", "55P03")
            async with a_session_of_its_own(campaign) as migration:
                await migration.execute(text("LOCK TABLE videos, users IN ACCESS EXCLUSIVE MODE"))
                await campaign.publish(200)

                async def refused(before: int = before) -> bool:
                    return consumer.mentions("batch.failed", "55P03") > before

                await eventually(refused, f"the lock is waited for in vain: {consumer.said()}")
            await campaign.recover()
        happened = consumer.mentions("batch.failed", "55P03")
    outcomes(await campaign.judge("tables locked by a migration", happened))
