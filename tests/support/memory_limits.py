"""Limits of memory: of the addresses of a process, which end in a MemoryError, and of a control group, in SIGKILL."""

import os
import resource
from pathlib import Path
from typing import Self

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
_IS_V2 = (_V2 / "cgroup.controllers").exists()
_ROOT = _V2 if _IS_V2 else _V1
_LIMIT = "memory.max" if _IS_V2 else "memory.limit_in_bytes"
_EVENTS = "memory.events" if _IS_V2 else "memory.oom_control"


def limit_addresses(pid: int) -> None:
    """Leave the process 4 MiB beyond what it has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (4 << 20)
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


def may_make_groups() -> bool:
    """Whether this user may make such groups."""
    controllers = _V2 / "cgroup.subtree_control"
    return os.access(_ROOT, os.W_OK) and (not _IS_V2 or "memory" in controllers.read_text().split())


class MemoryGroup:
    """A group whose members may have so many bytes more than they had when they came."""

    def __init__(self, name: str, size: int) -> None:
        self._directory = _ROOT / name
        self._size = size

    def __enter__(self) -> Self:
        self._directory.mkdir()
        (self._directory / _LIMIT).write_text(str(self._size))
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.rmdir()

    def take(self, pid: int) -> None:
        """Move a process into the group."""
        (self._directory / "cgroup.procs").write_text(str(pid))

    def killed(self) -> int:
        """How many of its members the kernel has killed."""
        lines = (line.split() for line in (self._directory / _EVENTS).read_text().splitlines())
        return next(int(count) for name, count in lines if name == "oom_kill")
