"""A pooler that comes between a running consumer and its database: outages are waited out, the rest halts."""

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import HaltedError
from reelsync.consumer.settings import Settings
from tests.faults.proxy import TcpProxy, database_proxy
from tests.support.builders import an_id, video
from tests.support.http_client import quick, served
from tests.support.pgbouncer import pgbouncer
from tests.support.running import eventually, publish, rows_of, topic_of, until_applied


@pytest.fixture
def proxy(database: str) -> Iterator[TcpProxy]:
    with database_proxy(database) as started:
        yield started


def through(proxy: TcpProxy, settings: Settings, pooler: str) -> Settings:
    url = make_url(settings.database.url.get_secret_value()).set(host="127.0.0.1", port=proxy.port)
    changed = {"url": SecretStr(url.render_as_string(hide_password=False)), "pooler": pooler}
    return settings.model_copy(update={"database": settings.database.model_copy(update=changed)})


async def publish_one(settings: Settings, number: int) -> None:
    await publish(settings, topic_of(settings, "video"), [(an_id(number).encode(), video("created", number))])


async def test_a_pooler_that_refuses_the_startup_parameters_halts_with_what_to_set(
    settings: Settings, database: str, proxy: TcpProxy
) -> None:
    consumer = Consumer(through(proxy, settings, "none"))
    running = asyncio.create_task(consumer.run(asyncio.Event()))
    await publish_one(settings, 1)
    await until_applied(settings)
    with pgbouncer("session", database) as pooler:
        proxy.target = pooler.address
        assert proxy.cut(), "nothing was connected"
        await publish_one(settings, 2)
        with pytest.raises(HaltedError, match="unsupported startup parameter") as halted:
            await asyncio.wait_for(running, 120)
    assert "set REELSYNC_DATABASE__POOLER to session or transaction" in str(halted.value)


async def test_a_pooler_whose_server_is_away_is_waited_for_and_its_sentence_is_shown(
    settings: Settings, database: str, proxy: TcpProxy
) -> None:
    """PgBouncer has the same SQLSTATE for it."""
    nowhere = make_url(database).set(port=1).render_as_string(hide_password=False)
    server = proxy.target
    async with served(quick(through(proxy, settings, "session"))) as (_, client):
        await publish_one(settings, 1)
        await until_applied(settings)
        with pgbouncer("session", nowhere, settings={"query_wait_timeout": "1"}) as pooler:
            proxy.target = pooler.address
            assert proxy.cut(), "nothing was connected"
            await publish_one(settings, 2)

            async def is_shown() -> bool:
                ready = await client.get("/readyz")
                (notice, *_) = (await client.status())["notices"]
                return ready.status == 503 and "08P01" in ready.text and "08P01" in notice["text"]

            await eventually(is_shown, "readiness and page say what the pooler says")
            text = (await client.get("/readyz")).text
            assert "SQLSTATE 08P01, " in text, text
        proxy.target = server
        proxy.cut()
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 2
