"""Query timings, published by listeners on a SQLAlchemy engine.

    attach_query_timing(engine, publish)      # any engine; `publish` gets a QueryTiming for each statement

The label of a statement is its `query_name` execution option; one without is `other`. SQLAlchemy has no event after
COMMIT (`commit` fires before the act), so `timed_commit` times it by hand.
"""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .errors import describe, sqlstate

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPICursor, ExceptionContext, ExecutionContext

_PUBLISH = "reelsync_publish_query_timing"
_STARTED = "_reelsync_started"


class QueryTiming(NamedTuple):
    """One statement: its label, seconds from sending to result, rows affected (-1: unknown), and how it failed."""

    query_name: str
    seconds: float
    rows: int
    sqlstate: str | None = None
    error: str | None = None


Publish = Callable[[QueryTiming], None]


def attach_query_timing(engine: AsyncEngine, publish: Publish) -> None:
    """Call `publish` after every statement of `engine`, failed and cancelled ones included."""
    sync_engine = engine.sync_engine
    engine.update_execution_options(**{_PUBLISH: publish})

    @event.listens_for(sync_engine, "before_cursor_execute")
    def start(
        _conn: "Connection",
        _cursor: "DBAPICursor",
        _sql: str,
        _parameters: object,
        context: "ExecutionContext",
        _many: bool,  # noqa: FBT001 - SQLAlchemy passes it by position
    ) -> None:
        setattr(context, _STARTED, perf_counter())

    @event.listens_for(sync_engine, "after_cursor_execute")
    def finish(
        _conn: "Connection",
        cursor: "DBAPICursor",
        _sql: str,
        _parameters: object,
        context: "ExecutionContext",
        _many: bool,  # noqa: FBT001 - SQLAlchemy passes it by position
    ) -> None:
        publish(QueryTiming(_name(context), perf_counter() - getattr(context, _STARTED), cursor.rowcount))

    @event.listens_for(sync_engine, "handle_error")
    def fail(failure: "ExceptionContext") -> None:
        context = failure.execution_context
        started = getattr(context, _STARTED, None)
        if context is None or started is None:
            return
        original = failure.original_exception
        publish(QueryTiming(_name(context), perf_counter() - started, -1, sqlstate(original) or "", describe(original)))


async def timed_commit(connection: AsyncConnection) -> float:
    """COMMIT, published as `commit` to whoever times the engine's statements; the seconds it took."""
    publish: Publish | None = connection.engine.get_execution_options().get(_PUBLISH)
    started = perf_counter()
    try:
        await connection.commit()
    except BaseException as error:
        if publish:
            publish(QueryTiming("commit", perf_counter() - started, -1, sqlstate(error) or "", describe(error)))
        raise
    seconds = perf_counter() - started
    if publish:
        publish(QueryTiming("commit", seconds, -1))
    return seconds


def _name(context: "ExecutionContext") -> str:
    return str(context.execution_options.get("query_name", "other"))
