"""A browser for all tests of the status page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import BROWSER, DRIVER, chromium, console, prefer, resize
from tests.services.docker import docker_is_required


@pytest.fixture(scope="session")
def a_browser() -> Iterator[Chrome]:
    if not (Path(BROWSER).exists() and Path(DRIVER).exists()):
        (pytest.fail if docker_is_required() else pytest.skip)("no Chromium: apt-get install chromium chromium-driver")
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(a_browser: Chrome) -> Chrome:
    """On an empty page, 1280 pixels wide, light, with an empty console."""
    a_browser.get("about:blank")
    resize(a_browser, 1280)
    prefer(a_browser, "light")
    console(a_browser)
    return a_browser
