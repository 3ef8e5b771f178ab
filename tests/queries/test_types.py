"""Results have types that mypy knows."""

import subprocess
import sys
from pathlib import Path

from reelsync.models import queries
from tests.support.processes import ROOT

TYPES = Path(__file__).with_name("result_types.py")


def mypy(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", *map(str, paths)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_results_have_the_types_that_are_promised() -> None:
    done = mypy(TYPES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_promise_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(TYPES.read_text().replace("Sequence[Row[date, int, Decimal]]", "Sequence[Row[date, int, float]]"))
    done = mypy(wrong)
    assert done.returncode == 1
    assert "assert-type" in done.stdout


def test_every_query_has_its_type_checked() -> None:
    text = TYPES.read_text()
    assert [name for name in queries.__all__ if name[0].islower() and f"queries.{name}(" not in text] == []
