"""Debian's Chromium without a window, and what its pages wrote to the console."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSER, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser with a profile of its own. The driver is named, so that Selenium looks for none and downloads none."""
    options = ChromeOptions()
    options.binary_location = BROWSER
    profile = tempfile.mkdtemp(prefix="reelsync-chromium-")
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(DRIVER))
    try:
        yield browser
    finally:
        browser.quit()
        shutil.rmtree(profile, ignore_errors=True)


def console(browser: Chrome) -> list[str]:
    """What was written to the console since this was asked last: errors of ours, of the policy and of the network."""
    entries: list[dict[str, Any]] = browser.get_log("browser")
    return [f"{entry['level']} {entry['message']}" for entry in entries]


def resize(browser: Chrome, width: int, height: int = 900) -> None:
    """A viewport of just this width in CSS pixels; a window cannot be narrower than 500."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(browser: Chrome, scheme: str) -> None:
    """As if the reader preferred a `light` or a `dark` page."""
    preferred = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preferred]})
