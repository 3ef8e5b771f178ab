"""What operators are told of all workers together: the answers of the HTTP endpoints, from what the workers report."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from reelsync.consumer.settings import Settings
from reelsync.consumer.status.document import Status
from reelsync.consumer.status.http_server import Answers, serving
from reelsync.consumer.status.merged_metrics import UnitedMetrics
from reelsync.consumer.status.summary import status_of
from reelsync.consumer.status.wording import duration

from .supervisor import Supervisor

_LOOK_SECONDS = 2.0
"""That a request waits for a worker which does not answer. Probes and browsers wait for five."""
_GIVEN_UP_SECONDS = 300.0
"""A worker that is not live for so long was killed and started again, and that did not mend it."""


class WorkersMonitor(Collector):
    """Adds up what the workers of a supervisor report. A silent one is told of as it was when last heard of."""

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
        registry = CollectorRegistry()
        registry.register(self)
        answers = Answers(self.not_live, self.not_ready, lambda: self.status().model_dump_json(), registry, self.look)
        async with serving(self._settings.http, answers) as port:
            yield port

    async def look(self) -> None:
        """Ask all workers anew."""
        await self._supervisor.look(_LOOK_SECONDS)

    def not_live(self) -> list[str]:
        """Why this process and its workers should be started again: the supervisor could not mend it."""
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
        """All that /status.json says."""
        return status_of(
            self._settings.kafka.group_id,
            time.monotonic(),
            self._began,
            self._supervisor.members(),
            not_live=self.not_live(),
            not_ready=self.not_ready(),
            past=self._supervisor.past,
        )

    def collect(self) -> Iterator[Metric]:
        """The metrics of all workers, those that have ended included, under the names and labels of one."""
        reports = [member.report for member in self._supervisor.members() if member.report]
        past = self._supervisor.past
        return UnitedMetrics([*past.metrics, *(family for report in reports for family in report.metrics)]).collect()
