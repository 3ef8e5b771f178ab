"""Where files are kept in memory."""

import os
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of unpredictable name is made in it
_LEAST_BYTES = 4 << 30


def directory_in_memory() -> Path | None:
    """A directory whose files are in memory, if it has room for a server and programs may be run from there.

    A database is copied there with a tenth of the work: it is 300 files.
    """
    if not hasattr(os, "ST_NOEXEC"):  # This is not Linux.
        return None
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return None
    has_room = found.f_bavail * found.f_frsize >= _LEAST_BYTES
    return _SHARED_MEMORY if has_room and not found.f_flag & os.ST_NOEXEC else None
