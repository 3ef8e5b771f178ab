"""`reelsync run --workers 2` as a process, and what it answers."""

import os
import signal
import urllib.error
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parse_text

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import free_port
from tests.support.http_client import Answer, Client
from tests.support.processes import process
from tests.support.running import eventually

RUN = ("-m", "reelsync.consumer", "run", "--workers", "2")


class Workers:
    """A supervisor and its workers, from outside."""

    def __init__(self, supervisor: Any, client: Client) -> None:
        self.supervisor = supervisor
        self.client = client
        self._frozen: list[int] = []

    async def all(self) -> list[dict[str, Any]]:
        workers: list[dict[str, Any]] = (await self.client.status())["workers"]
        return workers

    def freeze(self, pid: int) -> None:
        self._frozen.append(pid)
        os.kill(pid, signal.SIGSTOP)

    def wake(self) -> None:
        """What is frozen would not notice that its supervisor is gone."""
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def pids(self) -> dict[int, int]:
        return {worker["number"]: worker["pid"] for worker in await self.all()}

    def ready(self) -> Callable[[], Awaitable[bool]]:
        async def are_ready() -> bool:
            try:
                return (await self.client.get("/readyz")).status == 200
            except urllib.error.URLError:
                assert self.supervisor.poll() is None, "the supervisor ended"
                return False

        return are_ready

    async def counted(self, name: str) -> float:
        return total(await self.client.get("/metrics"), name)

    def stop(self) -> tuple[int, str]:
        self.supervisor.send_signal(signal.SIGTERM)
        _, said = self.supervisor.communicate(timeout=60)
        return self.supervisor.returncode, said


def total(answer: Answer, name: str) -> float:
    return sum(s.value for family in parse_text(answer.text) for s in family.samples if s.name == name)


def quick(settings: Settings, **http: float) -> Settings:
    impatient = {"port": free_port(), "probe_seconds": 1.0, "blocked_seconds": 2.0} | http
    return settings.model_copy(update={"http": settings.http.model_copy(update=impatient)})


@asynccontextmanager
async def working(settings: Settings, *command: str, **extra: str) -> AsyncIterator[Workers]:
    """Two workers that both consume."""
    chosen = quick(settings) if "http" not in settings.model_fields_set else settings
    with process(chosen, *(command or RUN), REELSYNC_LOG__FORMAT="json", **extra) as supervisor:
        workers = Workers(supervisor, Client(chosen.http.port))
        await eventually(workers.ready(), "both workers consume")
        try:
            yield workers
        finally:
            workers.wake()
