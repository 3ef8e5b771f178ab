"""What a supervisor does with workers that do not do as they should: programs that are no workers at all."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reelsync.consumer import background
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import HttpSettings, Settings
from reelsync.consumer.workers import channel, monitor, supervisor
from reelsync.consumer.workers.monitor import WorkersMonitor
from reelsync.consumer.workers.process import WorkerProcess
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


async def test_the_last_line_of_a_worker_that_dies_is_relayed_although_it_has_no_end(workers_are: Pretend) -> None:
    workers_are("printf 'it begins\\nFatal error: it ends' >&2; kill -9 $$")
    lines: list[bytes] = []
    process = await WorkerProcess.start(1, lambda _: None, lines.append)
    assert await process.ended() == -9
    assert lines == [b"it begins", b"Fatal error: it ends"]


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


def failing_at_first(call: Callable[..., Any], times: int = 2) -> Callable[..., Any]:
    """This function, but for the first calls."""
    left = iter(range(times))

    def called(*arguments: Any, **options: Any) -> Any:
        for _ in left:
            raise RuntimeError("swordfish")
        return call(*arguments, **options)

    return called


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_SHORTEST", 0.02)
    monkeypatch.setattr(background, "_LONGEST", 0.2)


def failures_of(supervised: Supervisor) -> dict[str, int]:
    return {task: count for task, count in supervised.metrics.task_failures.counts().items() if count}


async def test_a_worker_is_watched_again_after_an_error_of_that(
    workers_are: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers_are("exec sleep 600")
    monkeypatch.setattr(supervisor, "_START_SECONDS", 0.5)
    monkeypatch.setattr(Supervisor, "_stuck", failing_at_first(Supervisor._stuck))
    supervised, stop = Supervisor(HttpSettings(probe_seconds=0.2, blocked_seconds=0.5), 1), asyncio.Event()
    running = asyncio.create_task(supervised.run(stop))
    await eventually(restarted(supervised, 1), "it was killed because it does not answer")
    assert failures_of(supervised) == {"workers": 2}
    stop.set()
    await running


@pytest.mark.parametrize("place", ["start", "until_ended"])
async def test_an_error_of_one_place_is_no_end_of_the_others(
    workers_are: Pretend, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    workers_are("exec sleep 600")
    owner, name = (WorkerProcess, "start") if place == "start" else (Supervisor, "_until_ended")
    monkeypatch.setattr(owner, name, failing_at_first(getattr(owner, name)))
    async with supervising(2, asyncio.Event()) as (supervised, watched):

        async def run() -> bool:
            return all(program_of(member.pid) == "sleep" for member in supervised.members())

        await eventually(run, "each was started in the end")
        assert failures_of(supervised) == {"workers": 2}
        assert watched.status().counts.task_failures == {"workers": 2}
        (family,) = [family for family in watched.families() if family.name == "reelsync_background_task_failures"]
        assert family.counts()["workers"] == 2


async def test_log_lines_of_a_worker_are_read_on_after_an_error(workers_are: Pretend) -> None:
    """Nobody reads them: a worker that logs would wait for ever."""
    workers_are("while :; do echo a line >&2; sleep 0.01; done")
    lines = list[bytes]()
    supervised, stop = Supervisor(HttpSettings(), 1, failing_at_first(lines.append)), asyncio.Event()
    running = asyncio.create_task(supervised.run(stop))

    async def are_read() -> bool:
        return len(lines) > 5

    await eventually(are_read, "lines are read")
    assert failures_of(supervised) == {"worker_logs": 2}
    stop.set()
    await running


async def test_a_worker_whose_report_fails_answers_without_one() -> None:
    """Without an answer it would be killed as stuck, although it consumes."""
    ours, theirs = socket.socketpair()
    failures = list[str]()
    async with channel.asked(theirs) as worker:
        worker.report, worker.count_failure = failing_at_first(lambda: None, 1), failures.append
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        received = channel.answers(reader)
        for question in (1, 2):
            channel.ask(writer, question)
            assert await anext(received) == channel.Answer(question, None)
        assert failures == ["reports"]
    writer.close()


def program_of(pid: int | None) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip() if pid else ""
