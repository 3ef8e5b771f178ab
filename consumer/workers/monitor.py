"""The answers of the HTTP endpoints for all workers together, from their reports."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from reelsync.consumer.counters import Family, added_up
from reelsync.consumer.settings import Settings
from reelsync.consumer.status.document import Status
from reelsync.consumer.status.summary import status_of
from reelsync.consumer.status.wording import duration

from .supervisor import Supervisor

_ANSWER_SECONDS = 2.0
"""How long a request waits for a worker that does not answer. Probes and browsers wait for five seconds."""
_GIVEN_UP_SECONDS = 300.0
"""After this time without a live worker, the restarts by the supervisor have not helped."""


class WorkersMonitor:
    """Adds up what the workers of a supervisor report. One that does not answer is shown as of its latest report."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._began = time.monotonic()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Answer over HTTP; the port.

        Raises:
            ReelsyncError: the address of the settings cannot be used.
        """
        from reelsync.consumer.status.http_server import serving  # noqa: PLC0415 - its workers do without it

        async with serving(self._settings.http, self) as port:
            yield port

    async def refresh(self) -> None:
        """Ask all workers for a report."""
        await self._supervisor.ask_all(_ANSWER_SECONDS)

    def not_live(self) -> list[str]:
        """Why this process and its workers should be restarted, because the restarts by the supervisor did not help."""
        number, seconds = self._supervisor.longest_not_live()
        if seconds <= _GIVEN_UP_SECONDS:
            return []
        return [f"worker {number} is not live for {duration(seconds)}, although it was killed and started again"]

    def not_ready(self) -> list[str]:
        """Why not every worker consumes now."""
        return [
            f"worker {member.number} {reason}" if reason == member.absent else f"worker {member.number}: {reason}"
            for member in self._supervisor.members()
            for reason in ([member.absent] if member.absent else member.report.not_ready if member.report else [])
        ]

    def status(self) -> Status:
        """The document of /status.json."""
        return status_of(
            self._settings.kafka.group_id,
            time.monotonic(),
            self._began,
            self._supervisor.members(),
            self._metrics(),
            not_live=self.not_live(),
            not_ready=self.not_ready(),
            past=self._supervisor.past,
        )

    def families(self) -> Iterable[Family]:
        """The metrics of all workers, those that have ended included, under the names and labels of one."""
        return self._metrics().values()

    def _metrics(self) -> dict[str, Family]:
        supervisor = self._supervisor
        reported = [family for member in supervisor.members() if member.report for family in member.report.metrics]
        families = added_up([*supervisor.metrics.families(), *supervisor.past.metrics, *reported])
        families[supervisor.metrics.ready.name].set(float(not self.not_ready()))
        return families
