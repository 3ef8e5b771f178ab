"""Costs are looked up from outside, so the processes here are real ones that burn and hold what is then counted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.accounting import cpu_seconds, peak_memory

_BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
_THEN_WAIT = "print('done', flush=True); input()"


@contextmanager
def running(program: str) -> Iterator[int]:
    """The process id of a program that has printed a line and now waits."""
    command = [sys.executable, "-c", program + _THEN_WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        yield child.pid
        child.communicate(b"\n")


def test_the_cpu_of_a_process_is_counted() -> None:
    with running(_BURN.format(seconds=0.3)) as pid:
        assert 0.28 <= cpu_seconds([pid]) < 5


def test_the_cpu_of_a_child_that_lives_is_counted() -> None:
    grandchild = _BURN.format(seconds=0.3) + "print(1, flush=True); input()"
    program = (
        "import subprocess, sys\n"
        f"program, pipe = {grandchild!r}, subprocess.PIPE\n"
        "child = subprocess.Popen([sys.executable, '-c', program], stdin=pipe, stdout=pipe)\n"
        "child.stdout.readline()\n"
    )
    with running(program) as pid:
        assert cpu_seconds([pid]) >= 0.28


def test_the_cpu_of_a_child_that_has_ended_is_counted() -> None:
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {_BURN.format(seconds=0.3)!r}])\n"
    with running(program) as pid:
        assert cpu_seconds([pid]) >= 0.28


def test_peak_memory_remembers_what_was_given_back() -> None:
    with running("") as small, running("block = b'x' * 100_000_000; del block\n") as large:
        assert peak_memory([large]) - peak_memory([small]) > 90_000_000


def test_the_memory_of_all_processes_is_added_up() -> None:
    with running("") as one, running("") as other:
        assert peak_memory([one, other]) == pytest.approx(peak_memory([one]) + peak_memory([other]), rel=0.1)


def test_a_process_that_is_gone_counts_as_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert cpu_seconds([child.pid]) == 0
    assert peak_memory([child.pid]) == 0
    assert peak_memory([os.getpid()]) > 0
