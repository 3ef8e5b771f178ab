"""What a supervisor does with workers that do not do as they should: programs that are no workers at all."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import HttpSettings, Settings
from reelsync.consumer.workers import monitor, supervisor
from reelsync.consumer.workers.monitor import WorkersMonitor
from reelsync.consumer.workers.supervisor import Supervisor
from tests.support.running import eventually

Pretend = Callable[[str], None]


@pytest.fixture
def workers_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretend:
    """Start this shell script in the place of each worker."""

    def pretend(script: str) -> None:
        program = tmp_path / "worker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))

    return pretend


@asynccontextmanager
async def supervising(count: int, stop: asyncio.Event) -> AsyncIterator[tuple[Supervisor, WorkersMonitor]]:
    supervised = Supervisor(HttpSettings(probe_seconds=0.2), count)
    database = {"url": "postgresql+asyncpg://nobody@127.0.0.1:1/none"}
    watched = WorkersMonitor(Settings.model_validate({"database": database}), supervised)
    running = asyncio.create_task(supervised.run(stop))
    try:
        yield supervised, watched
    finally:
        stop.set()
        await running


def restarted(supervised: Supervisor, times: int) -> Callable[[], Awaitable[bool]]:
    async def are_restarted() -> bool:
        return all(member.restarts >= times for member in supervised.members())

    return are_restarted


async def test_a_worker_that_ends_at_once_is_started_again_and_told_of(
    workers_are: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers_are("exit 3")
    monkeypatch.setattr(monitor, "_GIVEN_UP_SECONDS", 0.5)
    async with supervising(2, asyncio.Event()) as (supervised, watched):
        assert watched.not_live() == []
        await eventually(restarted(supervised, 2), "each was started three times")

        async def waits() -> bool:
            return any(reason.endswith("ended (exit code 3) and is started again") for reason in watched.not_ready())

        await eventually(waits, "the reason is told")
        (reason,) = watched.not_live()
        assert reason.endswith("although it was killed and started again"), (
            "that did not mend it: an orchestrator may try"
        )
        assert [worker.live for worker in watched.status().workers] == [False, False]


async def test_a_program_that_cannot_be_started_is_tried_again(workers_are: Pretend, tmp_path: Path) -> None:
    workers_are("exit 0")
    (tmp_path / "worker").chmod(0o600)
    async with supervising(1, asyncio.Event()) as (supervised, watched):
        await eventually(restarted(supervised, 1), "it was tried again")
        assert "cannot be started (Permission denied)" in watched.not_ready()[0]


async def test_what_does_not_stop_is_killed_and_that_is_no_success(
    workers_are: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers_are("trap '' TERM; exec sleep 600")
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.3)
    supervised, stop = Supervisor(HttpSettings(), 2), asyncio.Event()
    running = asyncio.create_task(supervised.run(stop))

    async def are_deaf() -> bool:
        return all(program_of(member.pid) == "sleep" for member in supervised.members())

    await eventually(are_deaf, "they ignore SIGTERM; before, it ends them")
    stop.set()
    with pytest.raises(ReelsyncError, match=r"^worker 1 did not stop cleanly \(SIGKILL\); worker 2 .* Nothing is lost"):
        await running


async def test_what_never_answers_is_killed(workers_are: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    workers_are("exec sleep 600")
    monkeypatch.setattr(supervisor, "_START_SECONDS", 0.5)
    impatient = HttpSettings(probe_seconds=0.2, blocked_seconds=0.5)
    supervised, stop = Supervisor(impatient, 1), asyncio.Event()
    running = asyncio.create_task(supervised.run(stop))
    await eventually(restarted(supervised, 1), "it was killed, and another started")
    stop.set()
    await running


def program_of(pid: int | None) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip() if pid else ""
