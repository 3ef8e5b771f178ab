"""Consumers as processes of their own: started, killed, and never left behind."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

import orjson
from pydantic import BaseModel, SecretStr

from reelsync.consumer.settings import Settings
from tests.support.forked import ROOT, ForkedProcess

COMMAND = "reelsync.consumer"
_COMMAND_SECONDS = 120

__all__ = ["COMMAND", "ROOT", "environment", "process", "run_command"]


def environment(settings: Settings) -> dict[str, str]:
    """The environment that makes another process read the same settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("REELSYNC_")}
    env["PYTHONPATH"] = str(ROOT)
    for section, values in settings:
        for name, value in values:
            if value is not None:
                variable = type(values).model_fields[name].alias or name
                env[f"REELSYNC_{section}__{variable}".upper()] = _as_text(value)
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
def process(settings: Settings, *command: str, **extra: str) -> Iterator[ForkedProcess]:
    """A Python process with these settings, and others as variables; killed at the end if it still runs."""
    child = ForkedProcess(command, environment(settings) | extra, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def run_command(
    settings: Settings | None, *arguments: str, module: str = COMMAND, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `reelsync`, or another module's command, with these settings and wait for it."""
    env = environment(settings) if settings else {k: v for k, v in os.environ.items() if not k.startswith("REELSYNC_")}
    env |= {"PYTHONPATH": str(ROOT)} | extra
    with TemporaryFile() as out, TemporaryFile() as err:
        child = ForkedProcess(["-m", module, *arguments], env, stdout=out.fileno(), stderr=err.fileno())
        try:
            child.wait(_COMMAND_SECONDS)
        finally:
            child.kill()
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode("utf-8", errors="backslashreplace"))
        return subprocess.CompletedProcess(list(arguments), child.wait(), *said)
