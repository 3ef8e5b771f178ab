"""docs/publishing/*.md tell the truth: each program runs as it stands there, and sends what the consumer accepts."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.events.contract_files import export_contract
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from tests.languages.toolchains import run
from tests.support.decoding import decode
from tests.support.processes import ROOT

pytestmark = pytest.mark.timeout(900)  # a first run compiles libraries
PAGES = ROOT / "docs" / "publishing"
PARTITIONS = list(range(12))
VIDEO, ERASED = "01944b2d-0a00-7b01-9d11-1122334455a1", "01944b2d-0a00-7b01-9d11-1122334455a2"
COMPLETED = {
    "video_id": VIDEO,
    "user_id": "01944b2c-3f10-7a01-8c55-5f0a1b2c3d01",
    "version": 6,
    "output_url": "https://cdn.example.com/tour.mp4",
    "thumbnail_url": None,
    "duration_seconds": 93.5,
    "processing_time": 41.2,
    "file_size": 48_211_002,
}


@pytest.fixture
def kafka() -> Iterator[str]:
    """A broker of the page's own, with the topic by its default name."""
    with EmbeddedBroker() as broker:
        asyncio.run(broker.create_topics({"video-events": len(PARTITIONS)}))
        yield broker.bootstrap_servers


def _typescript(project: Path, kafka: str) -> str:
    run("npx", "json2ts", "-i", "contract/writer", "-o", "types", cwd=project)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--types", "node")
    run("npx", "tsc", *options, "publish.ts", cwd=project)
    return run("node", "publish.js", cwd=project, KAFKA=kafka)


def _go(project: Path, kafka: str) -> str:
    return run("go", "run", ".", cwd=project, KAFKA=kafka)


def _java(project: Path, kafka: str) -> str:
    return run("java", "-cp", (project / "classpath").read_text(), "Publish.java", cwd=project, KAFKA=kafka)


LANGUAGES = {"typescript": ("node_project", _typescript), "go": ("go_project", _go), "java": ("java_project", _java)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_program_runs_and_sends_an_event_and_a_tombstone(
    request: pytest.FixtureRequest, language: str, kafka: str, tmp_path: Path
) -> None:
    fixture, publish = LANGUAGES[language]
    project = tmp_path / language
    shutil.copytree(request.getfixturevalue(fixture), project, symlinks=True)
    name, code = _program(language)
    (project / name).write_text(code)
    export_contract(project / "contract")
    said = publish(project, kafka)
    records = asyncio.run(_records(kafka))
    event, erased = (decode(one, DEFAULT_TOPICS, 10**6) for one in records)
    assert (event["type"], event["data"]) == ("video.completed", COMPLETED)  # type: ignore[index]
    assert (erased["type"], erased["data"]["video_id"]) == ("video.tombstone", ERASED)  # type: ignore[index]
    place = f"video-events/{records[0].partition}/{records[0].offset}"
    assert said == f"event {event['id']} is at {place}\n"  # type: ignore[index]
    expected = [DefaultPartitioner()(key.encode(), PARTITIONS, PARTITIONS) for key in (VIDEO, ERASED)]
    assert [one.partition for one in records] == expected


def _program(language: str) -> tuple[str, str]:
    """The name and the text of the page's program."""
    page = (PAGES / f"{language}.md").read_text()
    ((name, code),) = re.findall(rf"```{language}\n// (\S+)\n(.*?)```", page, re.DOTALL)
    return name, code


async def _records(kafka: str) -> list[Any]:
    """The event and the tombstone, in this order."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition("video-events", number) for number in PARTITIONS])
        found = [await consumer.getone() for _ in range(2)]
    return sorted(found, key=lambda one: one.value is None)


def test_every_page_is_linked_and_has_its_program_run() -> None:
    publishing = (ROOT / "docs" / "publishing.md").read_text()
    assert {page.stem for page in PAGES.iterdir()} == set(LANGUAGES)
    assert all(f"(publishing/{language}.md)" in publishing for language in LANGUAGES)


@pytest.mark.parametrize(
    ("language", "lock"), [("typescript", "node/package.json"), ("go", "go/go.mod"), ("java", "java/pom.xml")]
)
def test_the_versions_of_a_page_are_those_that_it_was_tested_with(language: str, lock: str) -> None:
    page, locked = (PAGES / f"{language}.md").read_text(), (Path(__file__).parent / lock).read_text()
    named = set(re.findall(r"\b[0-9]+\.[0-9]+\.[0-9]+\b", page)) - {"1.0"}
    assert named
    assert [version for version in sorted(named) if version not in locked] == []
