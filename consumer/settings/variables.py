"""Checks the variables that settings are read from, in the environment and in `.env`: each must be a setting.

Without this, a variable with a typing error in its name would be ignored silently. So a name that begins with REELSYNC_
and is not a setting is refused.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsError

PREFIX = "REELSYNC_"
ENV_FILE_ENCODING = "utf-8-sig"
"""UTF-8, with or without the mark that some editors put before it."""

_NO_SETTINGS = frozenset({"REELSYNC_IMAGE", "REELSYNC_REQUIRE_DOCKER"})
"""Ours all the same: docker-compose.yml reads the first, the tests read the second."""

# Kubernetes sets these in every pod for a Service, here one that is named reelsync or reelsync-something. Source:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_A_SERVICE = re.compile(
    r"REELSYNC(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_A_SERVICE = re.compile(r"REELSYNC(_\w+)?_PORT=(tcp|udp|sctp)://.*")


class VariablesError(SettingsError):
    """Variables, or the file `.env`, are not as they must be. `problems` are sentences, without values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def settings_by_variable(settings: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Every setting of every section, by the variable that sets it."""
    return {
        f"{PREFIX}{section}__{field.alias or name}".upper(): field
        for section, sectioned in settings.model_fields.items()
        if isinstance(sectioned.annotation, type) and issubclass(sectioned.annotation, BaseModel)
        for name, field in sectioned.annotation.model_fields.items()
    }


def check_variables(environment: Mapping[str, str], env_file: Path, settings: Collection[str]) -> None:
    """Check that every variable that begins with REELSYNC_ is a setting, and that the file can be read.

    Args:
        environment: The variables of this process.
        env_file: The file with further variables, if it exists.
        settings: The names of all settings, with their prefix.

    Raises:
        VariablesError: they are not; names each.
    """
    problems = [_no_setting(name, settings) for name in _unknown(environment.items(), settings)]
    try:
        in_file, broken_lines = _read(env_file)
    except UnicodeDecodeError as error:
        problems.append(
            f"{env_file}: is not text in UTF-8 (byte {error.start + 1:,}): write it again as NAME=value lines"
        )
    except OSError as error:
        problems.append(
            f"{env_file}: cannot be read ({error.strerror}): make it a file of NAME=value lines, or remove it"
        )
    else:
        if broken_lines:
            more = f" (and {len(broken_lines) - 1:,} more)" if broken_lines[1:] else ""
            problems.append(f"{env_file}, line {broken_lines[0]}{more}: is not of the form NAME=value")
        problems += [f"{env_file}: {_no_setting(name, settings)}" for name in _unknown(in_file.items(), settings)]
    if problems:
        raise VariablesError(problems)


def _read(env_file: Path) -> tuple[dict[str, str], list[int]]:
    """The variables of the file, and the numbers of lines that are not variables. Both empty without a file."""
    if not env_file.exists():
        return {}, []
    with env_file.open(encoding=ENV_FILE_ENCODING) as stream:
        bindings = list(parse_stream(stream))
    broken = [
        binding.original.line
        for binding in bindings
        if binding.error or (binding.key and (binding.value is None or "\0" in binding.value))
    ]
    return {binding.key: binding.value for binding in bindings if binding.key and binding.value is not None}, broken


def _unknown(variables: Iterable[tuple[str, str]], settings: Collection[str]) -> list[str]:
    ours = {name: value for name, value in variables if name.upper().startswith(PREFIX)}
    known = {*settings, *_NO_SETTINGS}
    return sorted(
        name
        for name, value in ours.items()
        if name.upper() not in known
        and not _OF_A_SERVICE.fullmatch(name)
        and not _PORT_OF_A_SERVICE.fullmatch(f"{name}={value}")
    )


def _no_setting(name: str, settings: Collection[str]) -> str:
    # Without the common prefix, which would make all names look similar.
    near = get_close_matches(name.upper().removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in settings], n=1)
    fix = f"do you mean {PREFIX}{near[0]}?" if near else "docs/settings.md has a table of all settings"
    return f"{name}: is not a setting: {fix}"
