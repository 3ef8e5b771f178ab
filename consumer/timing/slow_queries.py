"""Slow statements, logged and counted: which one, how long it took, in which batch; never its parameters."""

import structlog
from prometheus_client import Counter

from reelsync.consumer.counters import Family

from .query_timing import QueryTiming

_STATEMENT_CHARACTERS = 200

_log = structlog.get_logger("reelsync.query")


class SlowQueries:
    """Logs a statement above one limit at level info, and above the other at level warning, and counts the latter.

    The id of the batch is in the log line because whoever runs the batch has bound it.
    """

    def __init__(
        self, counter: Family | Counter, *, noticeable_seconds: float = 0.1, slow_seconds: float = 1.0
    ) -> None:
        self._counter = counter
        self._noticeable_seconds = noticeable_seconds
        self._slow_seconds = slow_seconds

    def __call__(self, timing: QueryTiming) -> None:
        """Log and count the statement if it was slow."""
        if timing.seconds < min(self._noticeable_seconds, self._slow_seconds):
            return
        slow = timing.seconds >= self._slow_seconds
        if slow:
            self._counter.labels(timing.query_name).inc()
        details = {"query_name": timing.query_name, "seconds": round(timing.seconds, 3), "rows": timing.rows}
        if timing.error is not None:
            details["error"] = timing.error
        if timing.statement:
            details["statement"] = shortened(timing.statement)
        (_log.warning if slow else _log.info)("query.slow", **details)


def shortened(statement: str) -> str:
    """The first 200 characters of a statement in one line."""
    words = " ".join(statement[: 10 * _STATEMENT_CHARACTERS].split())
    return words if len(words) <= _STATEMENT_CHARACTERS else f"{words[: _STATEMENT_CHARACTERS - 1]}…"
