"""The page of a consumer in the browser: what it says, and pictures of it."""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from selenium.webdriver import Chrome

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from tests.browser.chromium import resize
from tests.support.builders import an_id, video
from tests.support.processes import ROOT
from tests.support.running import eventually

SCREENSHOTS = ROOT / ".screenshots"
"""Not in the repository: for people to look at after a run."""
SECRET = "swordfish"


@asynccontextmanager
async def shown(settings: Settings, browser: Chrome) -> AsyncIterator[Consumer]:
    """A running consumer, and its page in the browser."""
    quick = settings.http.model_copy(update={"port": 0, "probe_seconds": 1.0})
    consumer = Consumer(settings.model_copy(update={"http": quick}))
    stop = asyncio.Event()
    async with consumer.monitor.serving() as port:
        await consumer.check()
        running = asyncio.create_task(consumer.run(stop))
        try:
            await asyncio.to_thread(browser.get, f"http://127.0.0.1:{port}/")
            yield consumer
        finally:
            stop.set()
            await running


def text_of(browser: Chrome, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0]).innerText", selector))


async def says(browser: Chrome, selector: str, wanted: str) -> None:
    """Wait until an element's text matches, as it is shown."""

    async def matches() -> bool:
        return re.search(wanted, await asyncio.to_thread(text_of, browser, selector)) is not None

    await eventually(matches, f"{selector} says {wanted}")


def rows_of_table(browser: Chrome, table: str) -> list[list[str]]:
    script = "return [...document.querySelectorAll(arguments[0])].map(r => [...r.cells].map(c => c.textContent))"
    rows: list[list[str]] = browser.execute_script(script, f"#{table} tbody tr")
    return rows


def open_topics(browser: Chrome) -> None:
    """Show all partitions of all topics."""
    browser.execute_script("document.querySelectorAll('.topic [aria-expanded=false]').forEach(b => b.click())")


def partitions(browser: Chrome) -> dict[str, list[str]]:
    """The lines of single partitions that are shown, by name, without it."""
    rows = rows_of_table(browser, "partitions")
    return {name: cells for name, *cells in rows if re.search(r"/\d+$", name)}


def broken_words(browser: Chrome) -> list[str]:
    """Words that are on more than one line."""
    script = """
        const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        for (let node; (node = walker.nextNode());) {
            if (node.parentElement.closest(".heard, thead, script, style")) continue;
            for (const {index, 0: word} of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
                const range = document.createRange();
                range.setStart(node, index);
                range.setEnd(node, index + word.length);
                if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) found.push(word);
            }
        }
        return found;"""
    words: list[str] = browser.execute_script(script)
    return words


def beyond_the_screen(browser: Chrome) -> list[str]:
    """Elements that are wider than it."""
    script = """return [...document.querySelectorAll("body *:not(.heard, thead, thead *)")]
        .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth)
        .map(e => e.outerHTML.slice(0, 80));"""
    elements: list[str] = browser.execute_script(script)
    return elements


def photograph(browser: Chrome, name: str, *widths: int) -> None:
    """Keep the whole page as an image, at each width."""
    SCREENSHOTS.mkdir(exist_ok=True)
    for width in widths:
        resize(browser, width)
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True})
        (SCREENSHOTS / f"{name}-{width}.png").write_bytes(b64decode(shot["data"]))
    resize(browser, 1280)


def events(count: int, first: int = 0) -> list[tuple[bytes, bytes]]:
    """Videos of different owners, made just now."""
    now = datetime.now(UTC)
    numbers = range(first, first + count)
    return [(an_id(n).encode(), _timed(video("created", n, owner=n % 50, title=SECRET), now)) for n in numbers]


def _timed(event: bytes, at: datetime) -> bytes:
    return json.dumps(json.loads(event) | {"time": at.isoformat()}).encode()


def axe_violations(browser: Chrome) -> dict[str, Any]:
    """The rules that are violated, with the elements, and how many rules passed."""
    browser.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
    run = """
        const done = arguments[arguments.length - 1];
        axe.run(document).then(found => done({
            passes: found.passes.length,
            violations: found.violations.map(v => [v.id, v.nodes.map(n => [n.html, n.failureSummary])]),
        }), error => done({violations: [String(error)], passes: 0}));
    """
    found: dict[str, Any] = browser.execute_async_script(run)
    return found
