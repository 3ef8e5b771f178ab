"""The status page in four states, with 48 partitions and long names: readable on every screen, and by everybody."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, product

import pytest
from selenium.webdriver import Chrome
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from reelsync.testing.servers import Broker
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.browser.chromium import console, prefer, resize
from tests.browser.page import (
    SECRET,
    axe_violations,
    beyond_the_screen,
    broken_words,
    events,
    open_topics,
    partitions,
    photograph,
    rows_of_table,
    says,
    shown,
    text_of,
)
from tests.support.builders import an_id, video
from tests.support.running import consuming, publish, topic_of, until_applied

PARTITIONS = 16
WIDTHS = (320, 360, 390, 480, 600, 673, 768, 900, 1000, 1280, 1600)


@pytest.fixture
async def topics(broker: Broker) -> dict[str, str]:
    place = f"production.eu-west-1.{secrets.token_hex(4)}"
    names = {f"company.studio_events.{about}-lifecycle.{place}": about for about in ("video", "user", "model_usage")}
    await broker.create_topics(dict.fromkeys(names, PARTITIONS))
    return names


async def look(browser: Chrome, state: str) -> None:
    """Pictures, the rules of axe, and every width."""
    for scheme, width in product(("light", "dark"), (1280, 390)):
        await asyncio.to_thread(prefer, browser, scheme)
        await asyncio.to_thread(photograph, browser, f"{state}-{scheme}", width)
        await asyncio.to_thread(resize, browser, width)
        found = await asyncio.to_thread(axe_violations, browser)
        assert found["violations"] == [], (scheme, width)
        assert found["passes"] > 20
    for width in WIDTHS:
        await asyncio.to_thread(resize, browser, width)
        assert await asyncio.to_thread(beyond_the_screen, browser) == [], width
        assert await asyncio.to_thread(broken_words, browser) == [], width


async def test_healthy(settings: Settings, browser: Chrome) -> None:
    await publish(settings, topic_of(settings, "video"), [*events(200), (b"key", b"not json")])
    async with shown(settings, browser):
        await until_applied(settings)
        await says(browser, "#letters", "not_json")
        await says(browser, "#statements", "dead_letters.park")
        await says(browser, "#headline", "^Caught up: nothing waits in 48 partitions$")
        await says(browser, "#tiles", r"^PostgreSQL\s+answers\s.*\sKafka\s+answers")
        rows = await asyncio.to_thread(rows_of_table, browser, "partitions")
        assert len(rows) == 3
        assert all(name.endswith(" 16 partitions") and rest == ["0", "reading"] for name, *rest in rows)
        await says(browser, "#marks", r"^start at \d\d:\d\d:\d\d$")
        await look(browser, "healthy")
        assert console(browser) == []


async def test_postgresql_away(settings: Settings, browser: Chrome, postgres: EmbeddedPostgres) -> None:
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        postgres.shut_down("immediate")
        try:
            await publish(settings, topic_of(settings, "video"), events(200))
            wanted = r"^Waiting for PostgreSQL: connection refused, next try in [\d.]+ m?s \(for \d"
            await says(browser, "#headline", wanted)
            await says(browser, "#level", "^Trouble$")
            await says(browser, "#fix", "check PostgreSQL; the consumer continues by itself, and nothing is lost")
            await says(browser, "#tiles", r"^PostgreSQL Trouble\s+away\s+(for|no answer) [\w. ]+\s+Kafka\s+answers")
            await says(browser, "#tiles", r"Event age( Attention)?\s+[1-9][\d.]* (s|min)\s+it grows: nothing new")
            await says(browser, "#marks", "PostgreSQL away since")
            await says(browser, "#partitions", "waiting for PostgreSQL")
            assert "reading" not in await asyncio.to_thread(text_of, browser, "#partitions")
            await look(browser, "postgresql-away")
        finally:
            postgres.start()
        await says(browser, "#headline", "^(Applying|Caught up)")
        await says(browser, "#level", "^OK$")
        await says(browser, "#marks", "PostgreSQL away from")
        await says(browser, "#partitions", "reading")
        await until_applied(settings)
        assert console(browser) == []


async def test_poison_storm(settings: Settings, browser: Chrome) -> None:
    """Told without what is in the records."""
    topic = topic_of(settings, "video")
    poison = [(b"key", f"{{{SECRET}".encode())] * 60 + [(b"key", video("created", 7, title=SECRET * 100))] * 20
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        await publish(settings, topic, events(40))
        await publish(settings, topic, poison)
        wanted = r"^67 % of the records of the last minute became dead letters: 80, most of them not_json$"
        await says(browser, "#headline", wanted)
        await says(browser, "#level", "^Trouble$")
        await says(browser, "#fix", "reelsync dlq list --reason not_json")
        await says(browser, "#tiles", r"Dead letters Trouble\s+80\s")
        rows = {row[0]: row for row in await asyncio.to_thread(rows_of_table, browser, "letters")}
        assert (rows["not_json"][1], rows["invalid"][1]) == ("60", "20")
        assert rows["not_json"][2].count(f"reelsync dlq show {topic}/") == 3
        page = await asyncio.to_thread(lambda: browser.page_source)
        assert SECRET not in page
        await look(browser, "poison-storm")
        assert console(browser) == []


async def test_replay(settings: Settings, browser: Chrome, operator: AsyncConnection) -> None:
    """Of events that are months old, while new ones come too: their age does not hide that of the new ones."""
    old = [(an_id(n).encode(), video("created", n)) for n in range(2_000)]
    await publish(settings, topic_of(settings, "video"), old)
    async with consuming(settings):
        await until_applied(settings)
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        await publish(settings, topic_of(settings, "video"), events(20, 5_000))
        await says(browser, "#tiles", r"Event age\s+[\d.]+ m?s\s")
        async with replaying(operator, settings):
            await says(browser, "#headline", r"^Replaying [\d,.]+ records/s, which change no row")
            await look(browser, "replay")
        await until_applied(settings)
        charts = await asyncio.to_thread(text_of, browser, "#charts")
        assert "Event age" in charts
        assert "days" not in charts
        await asyncio.to_thread(open_topics, browser)
        read = await asyncio.to_thread(partitions, browser)
        assert len(read) == 3 * PARTITIONS
        assert all(int(row[0].replace(",", "")) <= int(row[1].replace(",", "")) for row in read.values())
        assert console(browser) == []


@asynccontextmanager
async def replaying(operator: AsyncConnection, settings: Settings) -> AsyncIterator[None]:
    """Positions go back to the beginning of the log again and again, and new events come."""

    over = asyncio.Event()

    async def reset() -> None:
        for number in count(10_000, 20):
            if over.is_set():
                return
            await publish(settings, topic_of(settings, "video"), events(20, number))
            await operator.execute(text("UPDATE consumer_offsets SET next_offset = 0"))
            await until_applied(settings)

    task = asyncio.create_task(reset())
    try:
        yield
    finally:
        # Not cancelled, for that would leave a producer open that is just being closed.
        over.set()
        await task
