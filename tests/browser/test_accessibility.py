"""The status page on small screens and by the rules of accessibility, with something in every part of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product

from selenium.webdriver import Chrome

from reelsync.consumer.settings import Settings
from tests.browser.chromium import prefer, resize
from tests.browser.page import axe_violations, events, photograph, says, shown
from tests.support.running import publish, topic_of


async def test_it_is_accessible(settings: Settings, browser: Chrome) -> None:
    """By the rules of axe, with something in every part of the page."""
    async with with_some_of_everything(settings, browser):
        for scheme, width in product(("light", "dark"), (1280, 390)):
            await asyncio.to_thread(prefer, browser, scheme)
            await asyncio.to_thread(resize, browser, width)
            found = await asyncio.to_thread(axe_violations, browser)
            assert found["violations"] == [], (scheme, width)
            assert found["passes"] > 20
            await asyncio.to_thread(photograph, browser, f"accessible-{scheme}", width)


async def test_nothing_is_wider_than_the_screen(settings: Settings, browser: Chrome) -> None:
    wider = """return [...document.querySelectorAll("body *:not(.heard, thead, thead *)")]
        .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth)
        .map(e => e.outerHTML.slice(0, 80));"""
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    async with with_some_of_everything(settings, browser):
        for width in (320, 360, 390, 700, 768, 1000, 1280):
            await asyncio.to_thread(resize, browser, width)
            assert await asyncio.to_thread(browser.execute_script, wider) == [], width
            assert await asyncio.to_thread(browser.execute_script, overflow) == 0, width


@asynccontextmanager
async def with_some_of_everything(settings: Settings, browser: Chrome) -> AsyncIterator[None]:
    """The page, with events, dead letters of two reasons, statements, and all partitions."""
    poison = [*[(b"key", b"not json")] * 20, (b"key", b"{}")]
    await publish(settings, topic_of(settings, "video"), [*events(50), *poison])
    async with shown(settings, browser):
        await says(browser, "#letters", "not_json")
        await says(browser, "#statements", "dead_letters.park")
        await says(browser, "#partitions", "this member")
        yield
