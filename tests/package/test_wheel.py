"""What a publisher installs is whole: a service written against the wheel alone is tested with it alone."""

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.package.packaged import PACKAGES
from tests.support.processes import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]

NOT_IN_IT = ("__pycache__", "events/schema/released", "migrations/README.md")
"""Contracts of releases are for comparing in the repository, the README for whoever changes the schema."""
HEAVY = ("aiokafka", "docker", "pydantic", "reelsync.consumer", "reelsync.events", "sqlalchemy", "testcontainers")

NOT_ASYNCHRONOUS = """
from reelsync.testing.builders import a_user


def test_a_user_becomes_a_row(reelsync_consumer):
    user = a_user()
    reelsync_consumer.run(reelsync_consumer.publish(user.created(username="amber_badger")))
    reelsync_consumer.run(reelsync_consumer.until_applied())
    (row,) = reelsync_consumer.run(reelsync_consumer.rows("users"))
    assert row["username"] == "amber_badger"
"""


TYPED = """
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from confluent_kafka.aio import AIOProducer
from reelsync.events import VideoProgressed
from reelsync.events.publishing import AIOKAFKA_OPTIONS, CONFLUENT_OPTIONS, BlockingPublisher, Publisher

producer = Producer({"bootstrap.servers": "localhost", **CONFLUENT_OPTIONS})
blocking = BlockingPublisher(producer, source="/render/eu-1")
blocking.send(VideoProgressed(video_id="a", user_id="b", version=1, progress=3))
Publisher(producer, source="/render/eu-1", topics={"video": "films"})
Publisher(AIOProducer({}), source="/render/eu-1")
Publisher(AIOKafkaProducer(bootstrap_servers="localhost", **AIOKAFKA_OPTIONS), source="/render/eu-1", mode="binary")
VideoProgressed(video_id="a", user_id="b", version=1, progress=3, percent=4)  # type: ignore[call-arg]
VideoProgressed(video_id="a", user_id="b", version="1", progress=3)  # type: ignore[arg-type]
"""
"""What is ignored there is an error that has to be: strict mypy refuses an ignore that has nothing to ignore."""


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "[pytest11]\nreelsync = reelsync.testing.plugin\n" in archive.read(entry_points).decode()
    files = {
        f"{package}/{path.relative_to(ROOT / folder)}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    wanted = {path for path in files if not any(part in path for part in NOT_IN_IT)}
    assert {"reelsync/events/schema/asyncapi.json", "reelsync/consumer/status/page.html"} <= wanted
    assert held == wanted | {"reelsync/__init__.py", "reelsync/py.typed"}


def test_the_fresh_environment_has_nothing_of_the_checkout(in_fresh: Run) -> None:
    said = in_fresh("-c", "import sys, reelsync.events as e; print(e.__file__, *sys.path)").stdout
    assert str(ROOT / "src") not in said
    assert str(ROOT) not in said.split()


def test_loading_the_plugin_imports_nothing_else(in_fresh: Run) -> None:
    """Every run of pytest loads it, of people too whose tests have nothing to do with reelsync."""
    code = f"import reelsync.testing.plugin, sys; print(*[m for m in {HEAVY} if m in sys.modules], 'loaded')"
    assert in_fresh("-c", code).stdout == "loaded\n"


def test_a_test_that_is_not_asynchronous_needs_no_plugin_for_asyncio(in_fresh: Run, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(NOT_ASYNCHRONOUS)
    done = in_fresh("-m", "pytest", "-p", "no:asyncio", "--reelsync-servers=embedded", "-W", "error", "test_it.py")
    assert "1 passed" in done.stdout


def test_a_type_checker_takes_every_producer_and_sees_a_wrong_field(in_fresh: Run, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    in_fresh("-m", "mypy", "--strict", "--ignore-missing-imports", "typed.py")


def test_the_fixtures_are_listed_and_named_after_the_project(in_fresh: Run) -> None:
    """None of them can clash with a fixture of the service's own."""
    said = in_fresh("-m", "pytest", "--fixtures", "-q").stdout
    section = said.split("reelsync.testing.plugin")[1].split("fixtures defined from")[0]
    names = [line.split()[0] for line in section.splitlines() if " -- " in line]
    assert "reelsync_consumer" in names
    assert all(name.startswith("reelsync_") for name in names), names
