"""Timing of what SQLAlchemy has no event for: waiting for the pool, connecting, COMMIT and ROLLBACK.

Its events `commit` and `rollback` fire before the act, and no event fires when a connection is refused or the pool has
none left. So four methods are wrapped: three of the dialect, of which each engine has its own instance, and one of the
pool.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event

Tell = Callable[[str, float, BaseException | None], None]
"""Called with a name, the seconds that it took, and the error, if it failed."""

_UNKNOWN = object()


@dataclass(slots=True)
class _Checkout:
    connecting_since: float | None = None


_checkout: ContextVar[_Checkout | None] = ContextVar("checkout", default=None)


def time_connections(engine: Engine, tell: Tell) -> None:
    """Report `pool.wait`, until the pool has a connection or may open one, and `connect`, until a new one is open.

    A connection is open when it can be used: after the login, and after the statements that SQLAlchemy sends first.
    """

    def wrap_pool(disposed: Engine) -> None:
        _wrap(disposed.pool, "connect", partial(_timing_checkout, tell))

    _wrap(engine.dialect, "connect", _noting_connect)
    wrap_pool(engine)
    # `dispose` makes a new pool.
    event.listen(engine, "engine_disposed", wrap_pool)


def _noting_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    """Note when the current checkout began to open a connection."""

    @wraps(connect)
    def noted(*args: Any, **kwargs: Any) -> Any:
        checkout = _checkout.get()
        if checkout is not None and checkout.connecting_since is None:
            checkout.connecting_since = perf_counter()
        return connect(*args, **kwargs)

    return noted


def _timing_checkout(tell: Tell, take: Callable[[], Any]) -> Callable[[], Any]:
    """Report how long the pool took to give a connection."""

    @wraps(take)
    def timed() -> Any:
        checkout = _Checkout()
        token = _checkout.set(checkout)
        error: BaseException | None = None
        started = perf_counter()
        try:
            return take()
        except BaseException as raised:
            error = raised
            raise
        finally:
            ended = perf_counter()
            _checkout.reset(token)
            since = checkout.connecting_since
            if since is None:
                tell("pool.wait", ended - started, error)
            else:
                tell("pool.wait", since - started, None)
                tell("connect", ended - since, error)

    return timed


def time_transactions(engine: Engine, tell: Tell) -> None:
    """Report each `commit` and `rollback` that is sent to the server, including those of the pool.

    SQLAlchemy examines a new server in a transaction. Its statements and its end count as part of `connect`.
    """

    def timing(query_name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        def wrap(act: Callable[[Any], None]) -> Callable[[Any], None]:
            @wraps(act)
            def timed(connection: Any) -> None:
                if _checkout.get() is not None or _has_no_transaction(connection):
                    act(connection)
                    return
                started = perf_counter()
                try:
                    act(connection)
                except BaseException as error:
                    tell(query_name, perf_counter() - started, error)
                    raise
                tell(query_name, perf_counter() - started, None)

            return timed

        return wrap

    _wrap(engine.dialect, "do_commit", timing("commit"))
    _wrap(engine.dialect, "do_rollback", timing("rollback"))


def _has_no_transaction(connection: Any) -> bool:
    """Whether no statement was sent since the last transaction, so that no COMMIT or ROLLBACK is sent either.

    Only asyncpg's adapter knows that. With other drivers every call counts.
    """
    return getattr(connection, "_transaction", _UNKNOWN) is None


def _wrap(owner: object, method: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, method, wrapper(getattr(owner, method)))
