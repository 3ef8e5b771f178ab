"""The consumer on simulated servers: docs/faults.md says what is simulated, and what is not."""

import subprocess
import sys

from tests.simulation.clock import clocks_of_the_machine
from tests.simulation.consumer import simulated
from tests.simulation.nemesis import FAULTS
from tests.simulation.scenario import RATES, run_seed

SIMULATE = [sys.executable, "-m", "tests.simulation"]


def test_every_promise_is_kept_whatever_happens_and_every_fault_does_happen() -> None:
    """The short form of `make simulate`."""
    done = subprocess.run(
        [*SIMULATE, "--seeds", "100", "--processes", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    happened = {fault.rstrip(" 0123456789") for fault in done.stdout.strip().partition("Faults: ")[2].split(", ")}
    assert happened == (RATES.keys() | FAULTS.keys()) - {"gap", "refusal"}


def test_one_seed_is_one_run() -> None:
    """Byte for byte the same, in another process."""
    first, second = (subprocess.run([*SIMULATE, "--seed", "140"], capture_output=True, check=True) for _ in range(2))
    assert first.stdout == second.stdout
    assert first.stdout.count(b"\n") > 100


def test_a_run_does_not_depend_on_those_before() -> None:
    seeds = range(1, 21)
    with simulated(tracing=True):
        traces = {seed: run_seed(seed, tracing=True).trace for seed in seeds}
        again = {seed: run_seed(seed, tracing=True).trace for seed in reversed(seeds)}
    assert traces == again


def test_no_clock_of_the_machine_is_read() -> None:
    assert clocks_of_the_machine()
    with simulated():
        assert clocks_of_the_machine() == []
