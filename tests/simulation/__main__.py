"""Runs seeds on all cores, or prints the trace of one: `make simulate SEEDS=1000000`, `make simulate SEED=123`."""

import argparse
import gc
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context
from typing import NamedTuple

if os.environ.get("PYTHONHASHSEED") != "0":
    # The order of sets is part of a run, so it must be the same each time.
    command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
    os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})

from .consumer import simulated
from .scenario import run_seed

_AT_ONCE = 100
_PROGRESS_SECONDS = 10.0
_COLLECTED_AFTER = 10
"""Runs between two collections: one after each run would take a twenty-fifth of the time."""


class Result(NamedTuple):
    """What became of some seeds."""

    seeds: int
    transactions: int
    happened: Counter[str]
    violations: list[str]


def main() -> int:
    """Run what the command line asks for; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seed", type=int, help="print the trace of this seed")
    parser.add_argument("--seeds", type=int, default=20_000, help="run so many")
    parser.add_argument("--first", type=int, default=1, help="from this seed on")
    parser.add_argument("--processes", type=int, help="on so many cores; by default on all")
    options = parser.parse_args()
    return (
        print_trace(options.seed)
        if options.seed is not None
        else run_all(options.first, options.seeds, options.processes)
    )


def print_trace(seed: int) -> int:
    """Print all that happens in a run."""
    with simulated(tracing=True):
        run = run_seed(seed, tracing=True)
    print(*run.trace, sep="\n")
    print(run.violation or f"Seed {seed}: all promises were kept, in {run.transactions} transactions.")
    return 1 if run.violation else 0


def run_all(first: int, count: int, processes: int | None) -> int:
    """Run many seeds, with a line of progress now and then."""
    started = told = time.perf_counter()
    seeds = transactions = violations = 0
    happened: Counter[str] = Counter()
    parts = [range(at, min(at + _AT_ONCE, first + count)) for at in range(first, first + count, _AT_ONCE)]
    # What was imported stays, and a run leaves cycles behind when it ends: the collector need not look in between.
    gc.collect()
    gc.freeze()
    gc.disable()
    with get_context("fork").Pool(processes) as pool:
        for result in pool.imap_unordered(run_seeds, parts):
            seeds += result.seeds
            transactions += result.transactions
            happened += result.happened
            violations += len(result.violations)
            print(*result.violations, sep="\n", end="\n" * bool(result.violations), flush=True)
            now = time.perf_counter()
            if now - told > _PROGRESS_SECONDS:
                told = now
                print(f"{seeds} of {count} seeds, {seeds / (now - started):.0f} a second", flush=True)
    print(f"{seeds} seeds, {transactions} transactions, {time.perf_counter() - started:.0f} s, {violations} violations")
    print("Faults:", ", ".join(f"{fault} {times}" for fault, times in sorted(happened.items())))
    return 1 if violations else 0


def run_seeds(seeds: range) -> Result:
    """Run seeds one after the other, in this process."""
    transactions, happened, violations = 0, Counter[str](), []
    with simulated():
        for seed in seeds:
            run = run_seed(seed)
            transactions += run.transactions
            happened += run.happened
            if run.violation:
                violations.append(f"{run.violation} (make simulate SEED={seed})")
            if seed % _COLLECTED_AFTER == 0:
                gc.collect()
    return Result(len(seeds), transactions, happened, violations)


if __name__ == "__main__":
    sys.exit(main())
