"""Consumers as processes of their own: started, killed, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from pydantic import BaseModel, SecretStr

from reelsync.consumer.settings import Settings

ROOT = Path(__file__).parents[2]


def environment(settings: Settings) -> dict[str, str]:
    """The environment that makes another process read the same settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("REELSYNC_")}
    env["PYTHONPATH"] = str(ROOT)
    for section, values in settings:
        for name, value in values:
            if value is not None:
                env[f"REELSYNC_{section}__{name}".upper()] = _as_text(value)
    if "http" not in settings.model_fields_set:
        env["REELSYNC_HTTP__PORT"] = "0"
    return env


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, str) else orjson.dumps(value, default=_members).decode()


def _members(value: object) -> object:
    """How a topic is read, where it is more than a name."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(f"{type(value).__name__} is no setting")


@contextmanager
def process(settings: Settings, *command: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process with these settings, and others as variables; killed at the end if it still runs."""
    env = environment(settings) | extra
    child = subprocess.Popen([sys.executable, *command], env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.communicate()


def run_command(
    settings: Settings | None, *arguments: str, module: str = "reelsync.consumer", **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `reelsync`, or another module's command, with these settings and wait for it."""
    env = environment(settings) if settings else {k: v for k, v in os.environ.items() if not k.startswith("REELSYNC_")}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command,
        env=env | {"PYTHONPATH": str(ROOT)} | extra,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
