"""The cost of processes: CPU seconds and peak memory, children included."""

from collections.abc import Iterable

import psutil

Pids = tuple[int, ...]


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system CPU seconds of these processes and of all processes that they have started, in steps of 10 ms.

    A child that has ended counts when its parent has waited for it: PostgreSQL's postmaster has the time of its ended
    backends. If one of these processes itself has ended, its time is unknown, so read it while it lives.
    """
    seconds = 0.0
    for process in _trees(roots):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def peak_memory(roots: Iterable[int]) -> int:
    """The sum of the peak memory of all processes in these trees, in bytes.

    On systems other than Linux it is their current memory.
    """
    return sum(_peak_of(process) for process in _trees(roots))


def _trees(roots: Iterable[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for root in roots:
        try:
            process = psutil.Process(root)
            found |= {member.pid: member for member in (process, *process.children(recursive=True))}
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def _peak_of(process: psutil.Process) -> int:
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
            peaks = [line.split()[1] for line in status if line.startswith("VmHWM:")]
        return int(peaks[0]) * 1024 if peaks else 0
    except FileNotFoundError:
        return _present_of(process)


def _present_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
