"""Keeps a number of workers running: starts them, kills those that are stuck, and restarts those that ended."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from reelsync.consumer.background import Task, keep_running
from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import HaltedError, ReelsyncError
from reelsync.consumer.settings import HttpSettings
from reelsync.consumer.status.snapshot import Member, Past
from reelsync.consumer.status.wording import duration
from reelsync.consumer.telemetry.metrics import Metrics

from .process import WorkerProcess

STOP_SECONDS = 40.0
"""The time that a worker has after SIGTERM. Orchestrators give 45 s (deploy/kubernetes/base/consumer.yml)."""
_START_SECONDS = 60.0
"""The time that a new worker has for its first answer."""
_STUCK_REPORTS = 3
"""Reports in a row in which a worker must be stuck."""
_STEADY_SECONDS = 60.0
"""A worker that ran for so long is started again as if for the first time."""

_log = structlog.get_logger("reelsync.workers")


@dataclass
class _Place:
    """The place of a worker. `gone`: why there is none at present, in words."""

    number: int
    process: WorkerProcess | None = None
    restarts: int = 0
    gone: str | None = "is starting"
    live_at: float = field(default_factory=time.monotonic)
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 30.0))


class Supervisor:
    """Of `count` workers. `run` it once.

    Args:
        settings: How often workers are asked, and how long one may be silent.
        relay: Gets each line that workers log; without, they log where this process does.
    """

    def __init__(self, settings: HttpSettings, count: int, relay: Callable[[bytes], None] | None = None) -> None:
        self.past = Past()
        """Of workers that have ended."""
        self._ask_seconds = settings.probe_seconds
        self._silent_seconds = settings.blocked_seconds
        self._relay = relay
        self.metrics = Metrics()
        """Of this process."""
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._ending = asyncio.Event()
        self._refusal: str | None = None
        self._unclean: list[str] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the workers running until `stop`, then have them finish their batches.

        Raises:
            HaltedError: a worker must not go on, and so none does; the message is the worker's.
            ReelsyncError: not all of them stopped cleanly.
        """
        forwarding = asyncio.create_task(self._forward(stop))
        try:
            async with asyncio.TaskGroup() as tasks:
                for place in self._places:
                    tasks.create_task(keep_running("workers", partial(self._keep, place), self.task_failed))
        finally:
            forwarding.cancel()
            for place in self._places:
                if place.process:
                    place.process.send(signal.SIGKILL)
        if self._refusal:
            raise HaltedError(self._refusal)
        if self._unclean:
            why = "; ".join(sorted(self._unclean))
            raise ReelsyncError(f"{why}. Nothing is lost: the next start continues from what is stored")

    async def ask_all(self, seconds: float) -> None:
        """Ask all workers for reports. A silent one is waited for so many seconds at most."""
        await asyncio.gather(*(place.process.ask(seconds) for place in self._places if place.process))

    def members(self) -> list[Member]:
        """The workers, as of the latest report of each."""
        return [self._member(place) for place in self._places]

    def longest_not_live(self) -> tuple[int, float]:
        """The number of the worker that has not been live for longest, and for how many seconds."""
        place = min(self._places, key=_live_at)
        return place.number, time.monotonic() - _live_at(place)

    def task_failed(self, task: Task) -> None:
        """Count the failure of a background task."""
        self.metrics.task_failures.labels(task).inc()

    async def _forward(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._ending.set()

    async def _keep(self, place: _Place) -> None:
        """Start a worker, and another one whenever it ends, until the supervisor stops."""
        while not self._ending.is_set():
            fate = await self._run_once(place)
            if self._ending.is_set():
                return
            delay = place.backoff.next_delay()
            place.gone = f"{fate} and is started again"
            _log.error("worker.ended", worker=place.number, fate=fate, again_in_seconds=round(delay, 1))
            place.restarts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), delay)

    async def _run_once(self, place: _Place) -> str:
        """Start a worker and wait until it has ended. Returns why it ended, in words."""
        try:
            process = await WorkerProcess.start(place.number, self.task_failed, self._relay)
        except OSError as error:
            return f"cannot be started ({error.strerror or type(error).__name__})"
        place.process = process
        _log.info("worker.started", worker=place.number, pid=process.pid, restarts=place.restarts)
        try:
            code = await self._until_ended(process)
        except Exception:
            # Another one is started in its place, and must not run beside it.
            process.send(signal.SIGKILL)
            place.process, place.gone = None, "is starting"
            await process.ended()
            raise
        self._retire(place, process)
        if self._ending.is_set():
            self._judge(place.number, code)
        return f"ended ({_fate(code)})"

    async def _until_ended(self, process: WorkerProcess) -> int:
        """Wait until it ended, on its own or after SIGTERM. Returns its exit code."""
        ended, ending = asyncio.create_task(process.ended()), asyncio.create_task(self._ending.wait())
        watching = asyncio.create_task(keep_running("workers", partial(self._watch, process), self.task_failed))
        try:
            await asyncio.wait({ended, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                process.send(signal.SIGTERM)
                await asyncio.wait({ended}, timeout=STOP_SECONDS)
            if not ended.done():
                _log.error("worker.killed", worker=process.number, why=f"it did not stop within {STOP_SECONDS:g} s")
                process.send(signal.SIGKILL)
            return await ended
        finally:
            for task in (ended, ending, watching):
                task.cancel()

    async def _watch(self, process: WorkerProcess) -> None:
        """Ask it regularly, and kill it if it is stuck: its batch is in the log, and another worker takes it."""
        while True:
            await process.ask(self._ask_seconds)
            if why := self._stuck(process):
                _log.error("worker.stuck", worker=process.number, why=why, then="killed, and started again")
                process.send(signal.SIGKILL)
                return
            await asyncio.sleep(self._ask_seconds)

    def _stuck(self, process: WorkerProcess) -> str | None:
        now = time.monotonic()
        patience = self._silent_seconds if process.report else max(_START_SECONDS, self._silent_seconds)
        # After a pause of this process itself, one question goes unanswered.
        if process.unanswered > 1 and now - process.answered_at > patience:
            return f"no answer for {now - process.answered_at:.0f} s"
        if process.report and process.report.not_live and now - process.live_at > _STUCK_REPORTS * self._ask_seconds:
            return "; ".join(process.report.not_live)
        return None

    def _retire(self, place: _Place, process: WorkerProcess) -> None:
        place.process = None
        if process.report:
            place.live_at = process.live_at
            self.past = self.past.with_ended(process.report)
        if time.monotonic() - process.started_at > _STEADY_SECONDS:
            place.backoff.reset()
        if process.refusal and not self._ending.is_set():
            _log.error("worker.refused", worker=process.number, then="all are stopped")
            self._refusal = process.refusal
            self._ending.set()

    def _judge(self, number: int, code: int) -> None:
        """Note a worker that did not stop cleanly. One that did not consume yet is ended by SIGTERM, cleanly."""
        if code not in {0, -signal.SIGTERM} and not self._refusal:
            self._unclean.append(f"worker {number} did not stop cleanly ({_fate(code)})")

    def _member(self, place: _Place) -> Member:
        process = place.process
        if process is None:
            return Member(place.number, None, place.restarts, None, place.gone)
        absent = None
        if process.report is None:
            absent = "is starting"
        elif process.unanswered:
            absent = f"has not answered for {duration(time.monotonic() - process.answered_at)}"
        return Member(place.number, process.pid, place.restarts, process.report, absent)


def _live_at(place: _Place) -> float:
    return place.process.live_at if place.process and place.process.report else place.live_at


def _fate(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # real-time signals have no name here
        return f"signal {-code}"
