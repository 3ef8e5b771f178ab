"""Without an extra the wheel needs Pydantic alone; what needs more names the extra that is missing."""

import subprocess
from pathlib import Path

import pytest

from tests.package.packaged import environment, run
from tests.support.processes import ROOT

OF_PYDANTIC = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
PUBLISHES = """
from reelsync.events import VideoCompleted
from reelsync.events.publishing import EventEncoder
from reelsync.testing.builders import a_video

event = a_video().completed(file_size=10)
assert isinstance(event, VideoCompleted)
print(EventEncoder(source="/render").encode(event).topic)
"""
USES_FIXTURES = """
import reelsync.events


def test_without_fixtures():
    assert reelsync.events.VideoCompleted


def test_a_consumer(reelsync_consumer):
    pass


def test_a_broker(reelsync_broker):
    pass


def test_a_database(reelsync_database_url):
    pass
"""


def refused(python: Path, *arguments: str | Path, cwd: Path) -> tuple[int, str]:
    """Exit code and all output of what must fail."""
    done = subprocess.run([python, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_base_is_pydantic_and_what_that_needs(base: Path, tmp_path: Path) -> None:
    packages = run(base, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).stdout.strip()
    installed = {path.name.split("-")[0] for path in Path(packages).glob("*.dist-info")}
    assert installed == OF_PYDANTIC | {"reelsync"}


def test_the_base_publishes(base: Path, tmp_path: Path) -> None:
    assert run(base, "-c", PUBLISHES, cwd=tmp_path).stdout == "video-events\n"


@pytest.mark.parametrize("command", [["reelsync", "run"], ["python", "-m", "reelsync.consumer", "--version"]])
def test_the_command_names_its_extra(base: Path, tmp_path: Path, command: list[str]) -> None:
    program, *arguments = command
    code, said = refused(base.parent / program, *arguments, cwd=tmp_path)
    assert (code, said) == (2, "error: typer is not installed: install reelsync[consumer]\n")


def test_the_models_name_their_extra(base: Path, tmp_path: Path) -> None:
    code, said = refused(base, "-c", "from reelsync.models import Video", cwd=tmp_path)
    assert code == 1
    assert said.endswith("reelsync.models needs sqlalchemy, which is not installed: install reelsync[models]\n")


def test_fixtures_and_commands_name_the_extra_beside_a_part_of_what_they_need(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Typer and pytest come with much else. The plugin is loaded then, and hinders no other test."""
    wanted = (f"{wheel}[models]", "pytest", "typer", "--constraint", ROOT / "requirements.txt")
    python = environment(tmp_path_factory.mktemp("partial"), wanted)
    code, said = refused(python.parent / "reelsync", "lag", cwd=tmp_path)
    assert (code, said) == (2, "error: pydantic_settings is not installed: install reelsync[consumer]\n")
    (tmp_path / "test_it.py").write_text(USES_FIXTURES)
    code, said = refused(python, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py", cwd=tmp_path)
    assert code == 1
    assert "1 passed, 3 errors" in said
    problems = [line for line in said.splitlines() if line.startswith("E  ")]
    assert len(problems) == 3
    assert all("install reelsync[testing]" in line for line in problems), problems
