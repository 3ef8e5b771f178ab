"""Consumers as processes of their own: started, killed, and never left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from pydantic import BaseModel, SecretStr

from reelsync.consumer.__main__ import main as command
from reelsync.consumer.settings import Settings

ROOT = Path(__file__).parents[2]
COMMAND = "reelsync.consumer"
_COMMAND_SECONDS = 120
_FORKS = multiprocessing.get_context("forkserver")
# Not the modules of the commands: Rich's consoles, which they make, take the width from the environment.
_FORKS.set_forkserver_preload([__name__, f"{COMMAND}.app", f"{COMMAND}.preflight", "aiokafka.admin", "rich.progress"])


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
    settings: Settings | None, *arguments: str, module: str = COMMAND, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `reelsync`, or another module's command, with these settings and wait for it.

    `reelsync` is run in a process that is forked from one which has imported it already: importing takes longer than
    most commands do.
    """
    env = environment(settings) if settings else {k: v for k, v in os.environ.items() if not k.startswith("REELSYNC_")}
    env |= {"PYTHONPATH": str(ROOT)} | extra
    if module == COMMAND:
        return _run_forked(list(arguments), env)
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
    )


def _run_forked(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    with TemporaryDirectory() as directory:
        said = Path(directory, "stdout"), Path(directory, "stderr")
        for path in said:
            path.touch()
        child = _FORKS.Process(target=_command, args=(arguments, env, said))
        child.start()
        child.join(_COMMAND_SECONDS)
        if child.exitcode is None:
            child.kill()
            child.join()
            raise subprocess.TimeoutExpired(arguments, _COMMAND_SECONDS, *(path.read_bytes() for path in said))
        stdout, stderr = (path.read_text("utf-8", errors="backslashreplace") for path in said)
        return subprocess.CompletedProcess(arguments, child.exitcode, stdout, stderr)


def _command(arguments: list[str], env: dict[str, str], said: tuple[Path, Path]) -> None:
    """What `python -m reelsync.consumer` does, in a process that was made for it alone."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    # They are open until the process ends.
    sys.stdout, sys.stderr = (open(number, "w", encoding=encoding, closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.argv = ["reelsync", *arguments]
    command()
