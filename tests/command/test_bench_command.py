"""What `reelsync bench` says before it measures anything. Measuring is tested in tests/benchmarks."""

import os
from pathlib import Path

from tests.support.processes import ROOT, run_command


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("raise ModuleNotFoundError('No module named psutil', name='psutil')")
    done = run_command(None, "bench", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: psutil is missing: pip install 'reelsync[bench,demo]'\n"


def test_a_workload_and_a_contender_that_are_not_there_are_named_with_those_that_are() -> None:
    for option, name, known in (("--workloads", "lifecycles", "lifecycle, unique"), ("--contenders", "flink", "orm")):
        done = run_command(None, "bench", option, f"{name}")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"there is no {name}, only " in done.stderr
        assert known in done.stderr


def test_options_come_from_the_environment_too() -> None:
    done = run_command(None, "bench", WORKLOADS="nothing")
    assert done.returncode == 2
    assert "there is no nothing" in done.stderr
