"""The live view of `reelsync run`: log lines above, the status below."""

import asyncio
import io
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reelsync.consumer.background import CountFailure, running
from reelsync.consumer.settings import LogSettings
from reelsync.consumer.status.document import Status
from reelsync.consumer.status.terminal import frame, last_frame

from .terminal import err

_REFRESH_SECONDS = 1.0


def is_for_people(logs: LogSettings) -> bool:
    """Whether a person watches: a terminal that can draw and show colours, and logs that are not JSON."""
    return sys.stderr.isatty() and not err.is_dumb_terminal and not err.no_color and logs.format == "console"


@asynccontextmanager
async def live_view(status: Callable[[], Awaitable[Status]], count_failure: CountFailure) -> AsyncIterator[None]:
    """Show the status while the block runs. It is drawn again each second, and when the terminal changes its size."""
    with Live(console=err, auto_refresh=False) as live, _logs_above(err):
        try:
            async with running({"live_view": partial(_draw, live, status)}, count_failure):
                yield
        finally:
            live.update(last_frame(await status()), refresh=True)


def print_above(line: bytes) -> None:
    """Print a log line of another process above the view."""
    _print_above(err, line.decode(errors="replace"))


async def _draw(live: Live, status: Callable[[], Awaitable[Status]]) -> None:
    resized = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, resized.set)
    while True:
        live.update(frame(await status(), live.console.width), refresh=True)
        try:
            await asyncio.wait_for(resized.wait(), _REFRESH_SECONDS)
        except TimeoutError:
            continue
        resized.clear()


@contextmanager
def _logs_above(console: Console) -> Iterator[None]:
    """Send log lines through the console, which prints them above the view."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.setStream(_Above(console)) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)


class _Above(io.TextIOBase):
    """A stream whose lines are printed above the view."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        if line := text.rstrip("\n"):
            _print_above(self._console, line)
        return len(text)


def _print_above(console: Console, line: str) -> None:
    console.print(Text.from_ansi(line), soft_wrap=True)
