"""Times of what SQLAlchemy tells in no event: waiting for the pool, connecting, COMMIT and ROLLBACK.

Its `commit` and `rollback` fire before the act, and nothing fires when a connection is refused or the pool has none
left. So these four calls are wrapped, on the one engine: two of its dialect, which has an instance for each engine, and
one of its pool.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event

Tell = Callable[[str, float, BaseException | None], None]
"""Told of a name, the seconds it took, and how it failed."""

_UNKNOWN = object()


@dataclass(slots=True)
class _Checkout:
    connecting_since: float | None = None


_checkout: ContextVar[_Checkout | None] = ContextVar("checkout", default=None)


def time_connections(engine: Engine, tell: Tell) -> None:
    """Tell of `pool.wait`, until the pool has a connection or leave to open one, and of `connect`, until that is open.

    A connection is open when it can be used: after its login, and what SQLAlchemy sets up on it.
    """

    def wrap_pool(disposed: Engine) -> None:
        _wrap(disposed.pool, "connect", partial(_timing_checkout, tell))

    _wrap(engine.dialect, "connect", _noting_connect)
    wrap_pool(engine)
    # `dispose` makes a new pool.
    event.listen(engine, "engine_disposed", wrap_pool)


def _noting_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    """Note when the present checkout began to open a connection."""

    @wraps(connect)
    def noted(*args: Any, **kwargs: Any) -> Any:
        checkout = _checkout.get()
        if checkout is not None and checkout.connecting_since is None:
            checkout.connecting_since = perf_counter()
        return connect(*args, **kwargs)

    return noted


def _timing_checkout(tell: Tell, take: Callable[[], Any]) -> Callable[[], Any]:
    """Tell how long the pool took for a connection."""

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
    """Tell of each `commit` and `rollback` that is sent to the server, whoever asked for it: the pool does, too.

    That of a transaction in which SQLAlchemy asks a new server what it is belongs to `connect`, like its statements.
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
    """Whether nothing was sent since the last transaction, so that nothing is sent to end one: asyncpg's adapter knows.

    Of other drivers it is not known, and each call counts.
    """
    return getattr(connection, "_transaction", _UNKNOWN) is None


def _wrap(owner: object, method: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, method, wrapper(getattr(owner, method)))
