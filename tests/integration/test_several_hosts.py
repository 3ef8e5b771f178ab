"""A URL with several hosts: the consumer works where it may write."""

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from reelsync.consumer.errors import MisconfiguredError
from reelsync.consumer.preflight import check_schema
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import free_port
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, video
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied


async def test_a_dead_host_and_one_that_only_reads_are_passed_over(settings: Settings, database: str) -> None:
    """One that refuses the password is not: as with psql, that ends the attempt."""
    good = make_url(database)
    with EmbeddedPostgres(durable=False) as reading:
        engine = create_async_engine(reading.url(), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in (
                f"CREATE ROLE {good.username} LOGIN PASSWORD '{good.password}'",
                f"CREATE DATABASE {good.database}",
                "ALTER SYSTEM SET default_transaction_read_only = on",
                "SELECT pg_reload_conf()",
            ):
                await connection.execute(text(statement))
        await engine.dispose()
        hosts = [f"127.0.0.1:{port}" for port in (free_port(), reading.port, good.port)]
        query = {"host": hosts, "target_session_attrs": "read-write"}
        url = SecretStr(good.set(host=None, port=None, query=query).render_as_string(hide_password=False))
        several = settings.model_copy(update={"database": settings.database.model_copy(update={"url": url})})
        await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created"))])
        async with consuming(several):
            await until_applied(settings)
        engine = create_async_engine(reading.url(), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("SET default_transaction_read_only = off"))
            await connection.execute(text(f"ALTER ROLE {good.username} PASSWORD 'another'"))
        await engine.dispose()
        with pytest.raises(MisconfiguredError, match="the user or the password is refused"):
            await check_schema(several.database)
    assert len(await rows_of(settings, "videos")) == 1
