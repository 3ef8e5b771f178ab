"""Starts, reads and stops the processes of a contender."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.accounting import Pids
from benchmarks.contenders.assignment import ROOT, Launch
from reelsync.consumer.errors import ReelsyncError
from reelsync.testing.servers.child_process import last_lines

_STOP_SECONDS = 30.0


class BenchmarkError(ReelsyncError):
    """A turn could not be measured."""


class Processes:
    """The processes of a contender, and what they print."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.running: list[asyncio.subprocess.Process] = []
        self.printed = 0
        """The last number that they printed."""
        self._listening: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> Pids:
        """Their process ids."""
        return tuple(process.pid for process in self.running)

    async def start(self, launch: Launch) -> None:
        """Start one more."""
        directory = _folder_with(launch.files, self.log.parent) if launch.files else ROOT
        with self.log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *launch.command, env=launch.env, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        self.running.append(process)
        if process.stdout is not None:
            self._listening.append(asyncio.create_task(self._listen(process.stdout)))

    def check(self) -> None:
        """Raise if one of them has ended."""
        if any(process.returncode is not None for process in self.running):
            raise BenchmarkError(f"it ended too early. The end of its output:\n{last_lines(self.log)}")

    async def stop(self) -> None:
        """Stop them all, and read what they still print."""
        for process in self.running:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        await asyncio.gather(*self._listening)

    async def _listen(self, output: asyncio.StreamReader) -> None:
        async for line in output:
            if line.strip().isdigit():
                self.printed = int(line)


def _folder_with(files: Mapping[str, str], place: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=place))
    for name, content in files.items():
        (folder / name).write_text(content, "utf-8")
    return folder


@asynccontextmanager
async def running(launches: list[Launch]) -> AsyncIterator[Processes]:
    """The processes that were launched; stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="reelsync-bench-") as directory:
        processes = Processes(Path(directory) / "log")
        async with AsyncExitStack() as stack:
            stack.push_async_callback(processes.stop)
            for launch in launches:
                await processes.start(launch)
            yield processes
