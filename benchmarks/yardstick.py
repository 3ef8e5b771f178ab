"""A process that repeats a known piece of work: it shows what a CPU second of the machine is worth at the moment.

While other programs use the cores and their caches, the same work costs more CPU seconds. That affects this process and
the measured one alike. So the cost of an event, divided by the cost of this work, can be compared with other hours and
other machines; times alone cannot.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import NamedTuple

from benchmarks.contenders.assignment import ROOT, environment
from benchmarks.workloads import lifecycle

_VALUES = 20_000
_AT_ONCE = 500
_FIRST_SECONDS = 60.0


class Reading(NamedTuple):
    """The number of values read and written so far, and the CPU seconds for them."""

    values: int
    seconds: float


class Yardstick:
    """The process, and its last reading."""

    def __init__(self) -> None:
        self.reading = Reading(0, 0.0)
        self._has_started = asyncio.Event()

    def price_since(self, before: Reading) -> float:
        """CPU seconds for a value since that reading."""
        values = self.reading.values - before.values
        return (self.reading.seconds - before.seconds) / values

    async def listen(self, output: asyncio.StreamReader) -> None:
        """Read what it prints."""
        async for line in output:
            values, seconds = line.split()
            self.reading = Reading(int(values), float(seconds))
            self._has_started.set()

    async def started(self) -> None:
        """Wait until it has started."""
        await asyncio.wait_for(self._has_started.wait(), _FIRST_SECONDS)


@asynccontextmanager
async def yardstick() -> AsyncIterator[Yardstick]:
    """Repeat the work while the block runs. It uses one core."""
    command = (sys.executable, "-m", "benchmarks.yardstick")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    found = Yardstick()
    listening = asyncio.create_task(found.listen(process.stdout))
    try:
        await found.started()
        yield found
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


def _work() -> None:
    """Read events with the standard library's json and write them again. Some of the results are kept for a while."""
    values = [record.value for record in islice(lifecycle(1, _VALUES), _VALUES)]
    done, started = 0, time.process_time()
    while True:
        begin = done % _VALUES
        kept = [json.dumps(json.loads(value)) for value in values[begin : begin + _AT_ONCE]]
        done += len(kept)
        print(done, time.process_time() - started, flush=True)


if __name__ == "__main__":
    with suppress(BrokenPipeError, KeyboardInterrupt):
        _work()
