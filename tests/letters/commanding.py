"""The `reelsync` command inside the test's process: one that is started anew costs seconds each time."""

import asyncio
import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from reelsync.consumer import cli
from reelsync.consumer.settings import Settings
from tests.support.processes import environment


class Done(NamedTuple):
    """As subprocess has it."""

    returncode: int
    stdout: str
    stderr: str


async def run_inside(settings: Settings, *arguments: str) -> Done:
    """Run `reelsync` with these settings, and wait for it. Logs stay as the tests have them."""
    return await asyncio.to_thread(_run, settings, arguments)


def _run(settings: Settings, arguments: tuple[str, ...]) -> Done:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    code = 0
    with (
        patch.dict(os.environ, environment(settings)),
        patch.object(sys, "argv", ["reelsync", *arguments]),
        patch("reelsync.consumer.cli.terminal.configure_logs"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Done(code, *(_text(stream) for stream in (out, err)))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()
