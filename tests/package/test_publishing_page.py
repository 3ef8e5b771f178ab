"""docs/publishing.md tells the truth: scripts run on the wheel alone, tests pass, excerpts are in the example."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer

from reelsync.events import TOPICS, parse_event
from reelsync.events.publishing import EventEncoder
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "publishing.md").read_text()
BLOCKS = re.findall(r"```(python|ini)\n(?:# (\S+)\n)?(.*?)```", PAGE, re.DOTALL)
EXCERPTS = [(name, code) for _, name, code in BLOCKS if "/" in name]
FILES = [(name, code) for _, name, code in BLOCKS if name and "/" not in name]
SCRIPTS = [code for _, name, code in BLOCKS if not name]
README = (ROOT / "README.md").read_text().split("<!-- publisher -->\n```python\n")[1].split("```")[0]
CALL = f"""
import asyncio
import os

asyncio.run(progressed(os.environ["KAFKA"], "{UUID(int=1)}", "{UUID(int=2)}", 5, 80))
"""


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A broker of the page's own, with the topics by their default names."""
    with EmbeddedBroker() as broker:
        asyncio.run(broker.create_topics(dict.fromkeys(TOPICS.values(), 1)))
        yield broker.bootstrap_servers


async def sent_to(kafka: str) -> list[Any]:
    async with AIOKafkaConsumer("video-events", bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        return [await consumer.getone() for _ in range(8)]


def test_every_script_runs_and_sends_what_it_says(fresh: Path, kafka: str, tmp_path: Path) -> None:
    for script in [*SCRIPTS, README + CALL]:
        env = {"PATH": os.environ["PATH"], "KAFKA": kafka}
        done = subprocess.run([fresh, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, script + done.stderr
    records = asyncio.run(sent_to(kafka))
    types = [parse_event(record.value, record.headers)["type"] if record.value else None for record in records]
    assert types == ["video.completed", *["video.progressed"] * 4, None, "video.deleted", "video.progressed"]
    trace = dict(records[6].headers)["traceparent"].decode()
    assert json.loads(records[6].value)["traceparent"] == trace


def test_every_test_passes(in_fresh: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    for name, code in FILES:
        (tmp_path / name).write_text(code)
    done = in_fresh("-m", "pytest", "--reelsync-servers=embedded")
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(("name", "code"), EXCERPTS, ids=[name for name, _ in EXCERPTS])
def test_every_excerpt_is_in_the_example(name: str, code: str) -> None:
    assert code in (ROOT / name).read_text()


def test_the_page_has_them_all() -> None:
    assert (len(SCRIPTS), len(FILES), len(EXCERPTS)) == (4, 3, 2)


def test_every_fixture_is_on_the_page() -> None:
    plugin = (ROOT / "reelsync_testing" / "plugin.py").read_text()
    fixtures = re.findall(r"^def (reelsync_\w+)\(", plugin, re.MULTILINE)
    assert fixtures
    assert [name for name in fixtures if f"`{name}`" not in PAGE] == []


def test_the_defaults_of_the_page_are_those_of_the_code() -> None:
    for topic in TOPICS.values():
        assert f"`{topic}`" in PAGE
    assert EventEncoder(source="/s").max_value_bytes == 512 * 1024
