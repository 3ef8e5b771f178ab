"""A known piece of work that a process of its own does over and over: what the CPU of the machine is worth just now.

While other programs keep the cores and their caches busy, the same work costs more CPU seconds. They hit this process
and the one that is measured alike, so by its price what an event costs can be compared with another hour, and another
machine's, as times cannot.
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
    """Values read and written again so far, and the CPU seconds that they took."""

    values: int
    seconds: float


class Yardstick:
    """The process, and what it said last."""

    def __init__(self) -> None:
        self.reading = Reading(0, 0.0)
        self._has_begun = asyncio.Event()

    def price_since(self, before: Reading) -> float:
        """CPU seconds for a value since then."""
        values = self.reading.values - before.values
        return (self.reading.seconds - before.seconds) / values

    async def listen(self, output: asyncio.StreamReader) -> None:
        """Take note of what it says."""
        async for line in output:
            values, seconds = line.split()
            self.reading = Reading(int(values), float(seconds))
            self._has_begun.set()

    async def begun(self) -> None:
        """Wait until it works."""
        await asyncio.wait_for(self._has_begun.wait(), _FIRST_SECONDS)


@asynccontextmanager
async def yardstick() -> AsyncIterator[Yardstick]:
    """The work is done while the block runs. It takes a core."""
    command = (sys.executable, "-m", "benchmarks.yardstick")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    found = Yardstick()
    listening = asyncio.create_task(found.listen(process.stdout))
    try:
        await found.begun()
        yield found
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


def _work() -> None:
    """Read events with the standard library's json and write them again. What comes of some is kept for a while."""
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
