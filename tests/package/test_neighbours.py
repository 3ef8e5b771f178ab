"""The wheel beside what others install and write under the names `events` and `models`."""

import shutil
from pathlib import Path

import pytest

from tests.package.packaged import environment, run
from tests.support.processes import ROOT

OPENSEARCH = "opensearch-py==3.2.0"
"""It needs the package `Events`, which installs a module `events`."""
NAMES = """
import events
from opensearchpy import OpenSearch
from reelsync.events import VideoCompleted

assert events.Events.__module__.startswith("events"), events
assert VideoCompleted.__module__ == "reelsync.events.video", VideoCompleted
"""
OF_THE_SERVICE = """
import events
import models
from reelsync import events as contract
from reelsync import models as tables


def test_each_name_means_what_stands_beside_the_tests():
    assert (events.OWNER, models.OWNER) == ("the service", "the service")
    assert contract.VideoCompleted.__module__ == "reelsync.events.video"
    assert tables.Video.__tablename__ == "videos"
"""


@pytest.fixture(scope="module")
def service(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a service that publishes, and that searches with OpenSearch."""
    what = (f"{wheel}[testing]", OPENSEARCH, "--constraint", ROOT / "requirements.txt")
    return environment(tmp_path_factory.mktemp("service"), what)


def test_a_module_named_events_of_another_package_stays_what_it_is(service: Path, tmp_path: Path) -> None:
    run(service, "-c", NAMES, cwd=tmp_path)


def test_the_example_services_tests_pass_beside_its_own_folders_of_these_names(service: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", "api"))
    for name in ("events", "models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'the service'\n")
    ours = tmp_path / "examples" / "upload"
    (ours / "tests" / "test_names.py").write_text(OF_THE_SERVICE)
    options = ("-c", ours / "pytest.ini", "--rootdir=.", "--reelsync-servers=embedded")
    done = run(service, "-m", "pytest", *options, ours, cwd=tmp_path)
    assert " passed" in done.stdout
    assert not any(word in done.stdout for word in ("skipped", "deselected", "failed"))
