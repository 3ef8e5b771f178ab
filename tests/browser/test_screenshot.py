"""The README's picture of the status page shows the page as it is today: same sections, tiles, charts and columns.

`make screenshot` takes the picture anew. It needs about five minutes, because the charts are to show something.
"""

import asyncio
import json
import os
import random
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from selenium.webdriver import Chrome

from demo.day import TOPICS, DayRecord, generate_day
from reelsync.consumer.settings import Settings
from reelsync.events import InvalidEventError, parse_event
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from reelsync.testing.settings import settings_for
from tests.browser.chromium import console, resize
from tests.browser.page import rows_of_table, says, shown
from tests.support.processes import ROOT
from tests.support.running import eventually, publish, until_applied

PICTURE = ROOT / "docs" / "figures" / "status-page.png"
LABELS = PICTURE.with_suffix(".txt")
"""What is written on the picture, beside the figures: a picture itself cannot be compared, for its figures change."""
TAKING_IT = os.environ.get("SCREENSHOT") == "take"
_ROUNDS, _PAUSE_SECONDS = (60, 2.0) if TAKING_IT else (2, 0.0)
_SIZE = (1280, 1200)


@pytest.fixture
def settings(database: str) -> Iterator[Settings]:
    """A consumer of the default topics, on a broker of its own: nobody else's topics have these names there."""
    with EmbeddedBroker() as broker:
        asyncio.run(broker.create_topics(dict.fromkeys(TOPICS.values(), 2)))
        topics = {topic: aggregate for aggregate, topic in TOPICS.items()}
        found = settings_for(bootstrap_servers=broker.bootstrap_servers, database_url=database, topics=topics)
        kafka = found.kafka.model_copy(update={"group_id": "reelsync", "session_timeout_ms": 10_000})
        yield found.model_copy(update={"kafka": kafka})


def labels(browser: Chrome) -> list[str]:
    """Headings, columns, tiles and charts of the page, in the order in which they stand there."""
    script = """return [...document.querySelectorAll("h1, h2:not(#headline), thead th, dt, figcaption b")]
        .filter(e => e.getClientRects().length)
        .map(e => [...e.childNodes].filter(n => n.className !== "level").map(n => n.textContent).join("").trim());"""
    found: list[str] = browser.execute_script(script)
    return found


def happening_now(value: bytes | None) -> bytes | None:
    """The event with the time of now, so that the page shows an age of today; what is no event stays as it is."""
    try:
        parse_event(value)
    except InvalidEventError:
        return value
    return json.dumps(json.loads(value) | {"time": datetime.now(UTC).isoformat()}).encode()


async def send(settings: Settings, records: list[DayRecord]) -> None:
    for topic in settings.kafka.topics:
        sent = [(record.key, happening_now(record.value)) for record in records if record.topic == topic]
        await publish(settings, topic, sent)


async def ends_are_shown(browser: Chrome) -> bool:
    """Whether the page has seen that nothing waits since the last record was applied."""
    rows = await asyncio.to_thread(rows_of_table, browser, "partitions")
    return all(lag == "0" for _, lag, _ in rows)


def photograph(browser: Chrome) -> None:
    """Keep the upper part of the page."""
    width, height = _SIZE
    resize(browser, width, height)
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    PICTURE.write_bytes(b64decode(shot["data"]))


async def test_the_picture_in_the_readme_shows_the_page_of_today(settings: Settings, browser: Chrome) -> None:
    day = [record for record in generate_day(events=60_000).records if not record.headers and record.value]
    rng = random.Random(1)
    sizes = [rng.randrange(200, 800) for _ in range(_ROUNDS)]
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        for number, size in enumerate(sizes):
            await send(settings, day[sum(sizes[:number]) :][:size])
            await asyncio.sleep(_PAUSE_SECONDS)  # for the picture alone: the time axis of its charts
        await until_applied(settings)
        await says(browser, "#letters", "invalid")
        await says(browser, "#statements", "dead_letters.park")
        await eventually(lambda: ends_are_shown(browser), "the ends of the log on the page")
        if TAKING_IT:
            await asyncio.to_thread(photograph, browser)
            LABELS.write_text("\n".join(await asyncio.to_thread(labels, browser)) + "\n")
        assert await asyncio.to_thread(labels, browser) == LABELS.read_text().splitlines(), "make screenshot"
        assert console(browser) == []


def test_the_picture_has_the_size_that_the_readme_shows() -> None:
    """The header of a PNG: its width and height are two big-endian numbers of four bytes, from byte 16 on."""
    header = PICTURE.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == _SIZE
