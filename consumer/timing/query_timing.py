"""Query timings, published by listeners on a SQLAlchemy engine.

    attach_query_timing(engine, publish)      # any engine; `publish` gets a QueryTiming for each statement

The label of a statement is its execution option `query_name` if that name is declared, and else `other`. Savepoints are
statements and have names of their own; each page of an insert with many values is one statement. `connection_timing.py`
times what SQLAlchemy has no event for: COMMIT, ROLLBACK, connecting, and waiting for the pool.
"""

from collections.abc import Callable, Container
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.expression import ReleaseSavepointClause, RollbackToSavepointClause, SavepointClause

from reelsync.consumer.postgres.sqlstate import describe, error_type, sqlstate

from .connection_timing import time_connections, time_transactions
from .query_names import OTHER, QUERIES

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPICursor, ExceptionContext, ExecutionContext

_STARTED = "_reelsync_started"
_SAVEPOINTS: dict[type, str] = {
    SavepointClause: "savepoint",
    ReleaseSavepointClause: "savepoint.release",
    RollbackToSavepointClause: "savepoint.rollback",
}
_timed: WeakSet[Engine] = WeakSet()


class QueryTiming(NamedTuple):
    """One statement: its label, seconds from sending to result, rows affected (-1: unknown), and how it failed."""

    query_name: str
    seconds: float
    rows: int = -1
    statement: str = ""
    """SQL as it was sent, with placeholders for its parameters; empty for what is not a statement."""
    error_type: str = ""
    """Empty if it did not fail; otherwise a value of `postgres.sqlstate.error_type`."""
    sqlstate: str | None = None
    error: str | None = None


Publish = Callable[[QueryTiming], None]


def attach_query_timing(engine: Engine | AsyncEngine, *publish: Publish, names: Container[str] = QUERIES) -> None:
    """Call each of `publish` after every statement of `engine`, failed and cancelled ones included.

    They run in the task that sent the statement, before its result is returned: they must be quick, and not raise.

    Args:
        engine: The engine whose statements are timed.
        publish: The functions to call.
        names: The names that a statement may have; a program with statements of its own adds theirs to `QUERIES`.

    Raises:
        ValueError: the statements of this engine are timed already.
    """
    sync_engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    if sync_engine in _timed:
        raise ValueError("the statements of this engine are timed already: attach once, with all functions")
    _timed.add(sync_engine)

    def tell(timing: QueryTiming) -> None:
        for each in publish:
            each(timing)

    def publish_connection(query_name: str, seconds: float, error: BaseException | None) -> None:
        tell(QueryTiming(query_name, seconds) if error is None else _failed(query_name, seconds, "", error))

    _time_statements(sync_engine, tell, names)
    time_connections(sync_engine, publish_connection)
    time_transactions(sync_engine, publish_connection)


def _time_statements(engine: Engine, tell: Publish, names: Container[str]) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def start(
        _conn: "Connection",
        _cursor: "DBAPICursor",
        _sql: str,
        _parameters: object,
        context: "ExecutionContext | None",
        _many: bool,  # noqa: FBT001 - SQLAlchemy passes it by position
    ) -> None:
        if context is not None:
            setattr(context, _STARTED, perf_counter())

    @event.listens_for(engine, "after_cursor_execute")
    def finish(
        _conn: "Connection",
        cursor: "DBAPICursor",
        sql: str,
        _parameters: object,
        context: "ExecutionContext | None",
        _many: bool,  # noqa: FBT001 - SQLAlchemy passes it by position
    ) -> None:
        started = getattr(context, _STARTED, None)
        if context is None or started is None:
            return
        # An error may follow in the same context, when the result is made. It is not another statement.
        setattr(context, _STARTED, None)
        tell(QueryTiming(_name(context, names), perf_counter() - started, cursor.rowcount, sql))

    @event.listens_for(engine, "handle_error")
    def fail(failure: "ExceptionContext") -> None:
        context = failure.execution_context
        started = getattr(context, _STARTED, None)
        if context is None or started is None:
            return
        setattr(context, _STARTED, None)
        seconds = perf_counter() - started
        tell(_failed(_name(context, names), seconds, failure.statement or "", failure.original_exception))


def _name(context: "ExecutionContext", names: Container[str]) -> str:
    savepoint = _SAVEPOINTS.get(type(context.invoked_statement))
    if savepoint is not None:
        return savepoint
    query_name = context.execution_options.get("query_name", OTHER)
    return query_name if query_name in names else OTHER


def _failed(query_name: str, seconds: float, statement: str, error: BaseException) -> QueryTiming:
    return QueryTiming(query_name, seconds, -1, statement, error_type(error), sqlstate(error), describe(error))
