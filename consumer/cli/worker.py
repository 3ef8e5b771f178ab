"""`reelsync worker`: one process of `reelsync run --workers`. Its supervisor starts it; people do not."""

import socket
import sys

import structlog
import typer

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import FencedError, ReelsyncError, UnavailableError
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.runner import run_until_signal
from reelsync.consumer.settings import Settings
from reelsync.consumer.workers.channel import Asked, asked
from reelsync.consumer.workers.lifeline import end_with_parent

from .terminal import load, run_async

_log = structlog.get_logger("reelsync.workers")


def worker(number: int, channel: int) -> None:
    """Carry out the command."""
    structlog.contextvars.bind_contextvars(worker=number)
    end_with_parent(sys.stdin.fileno())
    run_async(_work(socket.socket(fileno=channel)))


async def _work(channel: socket.socket) -> None:
    async with asked(channel) as supervisor:
        try:
            await _consume(supervisor)
        except (UnavailableError, FencedError):
            raise
        except ReelsyncError as error:
            supervisor.refusal = str(error)
            _log.error("consumer.halted", why=describe(error))
            raise typer.Exit(1) from None


async def _consume(supervisor: Asked) -> None:
    consumer = Consumer(load(Settings))
    supervisor.report, supervisor.count_failure = consumer.monitor.report, consumer.seen.task_failed
    async with consumer.monitor.watching():
        await run_until_signal(consumer)
