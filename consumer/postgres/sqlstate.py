"""What an error of the database means, and what to do about it. Pure.

Database errors are distinguished by SQLSTATE, never by class: through asyncpg most arrive as a plain DBAPIError, and an
outage often as a built-in OSError. Source: PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes".
"""

import asyncio
import os
import socket
import ssl
from enum import Enum

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from reelsync.consumer.errors import (
    _REFUSED_BY_A_POOLER,
    MisconfiguredError,
    ReelsyncError,
    UnavailableError,
    is_fatal,
    refuses_parameters,
)


class Verdict(Enum):
    """What to do about an error of the database."""

    DATA = "data"
    """The database refuses an event of the batch: find it, and park only this one."""
    AGAIN = "again"
    """Run the same batch again."""
    HALVE = "halve"
    """Too slow or too big: run it in halves."""
    OUTAGE = "outage"
    """Wait, for as long as it takes, and read the stored positions before the next attempt."""
    BUG = "bug"
    """Our statements or the schema are wrong: stop. Never a dead letter."""


_STATES = {
    # What PostgreSQL, or a function of the operator's, may say about a value; limits that one event can reach.
    Verdict.DATA: "22000 22001 22003 22004 22005 22007 22008 22009 22010 22012 22015 22018 22019 2201B 2201E "
    "2201F 2201G 22021 22023 22024 22025 22026 22027 22030 22031 22032 22033 22034 22P01 22P02 22P03 22P04 22P05 "
    "23514 23P01 54000 54001",
    # Other transactions are in the way. 23503: a row that was known to exist is gone, because the database lost
    # transactions; the next attempt reads again. 23505: somebody has just written the same.
    Verdict.AGAIN: "23503 23505 40001 40003 40P01 55P03",
    Verdict.HALVE: "25P04 53200 57014",
    Verdict.OUTAGE: "08000 08001 08003 08004 08006 08007 25006 25P03 28000 28P01 3D000 53000 53100 53300 53400 57000 "
    "57P01 57P02 57P03 57P04 57P05",
}
_BLAMES_ROWS = frozenset({"23503", "23505"})
_VERDICTS = {state: verdict for verdict, states in _STATES.items() for state in states.split()}
ADVICE = dict.fromkeys(
    ("42601", "42703", "42704", "42804", "42883", "42P01", "42P10"),
    "the schema is not that of this version: see `reelsync check`, and run `reelsync migrate`",
) | {
    "26000": "a pooler in transaction mode is in front of the database: see REELSYNC_DATABASE__POOLER",
    "42501": "the role lacks a permission: run deploy/postgres/roles.sql for it",
}
"""What to do about a refusal that waiting does not change. About all others the server's own sentence says the most."""
_NAME_THE_POOLER = (
    "a pooler is in front of the database and refuses a startup parameter: set REELSYNC_DATABASE__POOLER to session or "
    "transaction, as the pooler's mode is"
)
EXCLUSION_VIOLATION = "23P01"
LOCK_NOT_AVAILABLE = "55P03"
# The classes of PostgreSQL itself. Functions in a database may raise others.
_APPENDIX_A = (
    "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 "
    "53 54 55 57 58 72 F0 HV P0 XX"
)
_CLASSES = frozenset(_APPENDIX_A.split())


ASYNCPG_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The errors that asyncpg raises unwrapped when a connection breaks between two statements."""
_NO_ANSWER = (
    DBAPIError,
    PoolTimeoutError,
    OSError,
    TimeoutError,
    *ASYNCPG_ERRORS,
)


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE from the server, if there is one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    return state if isinstance(state, str) else None


def constraint(error: DBAPIError) -> str | None:
    """The name of the constraint that was violated, if the server named one."""
    cause = error.orig.__cause__ if error.orig is not None else None
    name = getattr(cause, "constraint_name", None)
    return name if isinstance(name, str) else None


def classify(error: BaseException) -> Verdict:
    """What to do about an error that came out of a transaction, or of opening a connection for one.

    Raises:
        MemoryError: the error is one. It says nothing about the database, and ends the process.
    """
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, UnavailableError | MisconfiguredError):
        return Verdict.OUTAGE
    state = sqlstate(error)
    if state == _REFUSED_BY_A_POOLER and is_fatal(error):
        # It says this of outages too.
        return Verdict.BUG if refuses_parameters(error) else Verdict.OUTAGE
    if state is not None:
        return _VERDICTS.get(state, Verdict.BUG)
    if isinstance(error, _NO_ANSWER):
        return Verdict.OUTAGE
    return Verdict.BUG


def error_type(error: BaseException) -> str:
    """The error as a label from a closed set: the class of its SQLSTATE, or what happened on this side."""
    state = sqlstate(error)
    if state is not None:
        return state[:2] if state[:2] in _CLASSES else "other"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, PoolTimeoutError | TimeoutError):
        return "timeout"
    return "connection" if isinstance(error, OSError) else "no_sqlstate"


def is_name_conflict(error: DBAPIError) -> bool:
    """Whether the error says that two live users would have the same name."""
    return sqlstate(error) == EXCLUSION_VIOLATION


def describe(error: BaseException) -> str:
    """The error in one line, without parameters or values: class, SQLSTATE, constraint. Ours are whole."""
    if isinstance(error, ReelsyncError):
        return str(error)
    if isinstance(error, socket.gaierror):
        return "name not found"
    if type(error) is OSError and error.errno:
        # Its class says nothing; a class of its own, such as ConnectionRefusedError, does.
        return os.strerror(error.errno)
    parts = [type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__]
    if isinstance(error, ssl.SSLCertVerificationError):
        parts.append(error.verify_message)
    state = sqlstate(error)
    if state:
        parts.append(f"SQLSTATE {state}")
    if state == _REFUSED_BY_A_POOLER and classify(error) is Verdict.OUTAGE:
        parts.append(server_message(error))
    name = constraint(error) if isinstance(error, DBAPIError) else None
    if name:
        parts.append(f"constraint {name}")
    return ", ".join(parts)


def is_about_rows(error: BaseException) -> bool:
    """Whether the server objects to what is written. Another attempt may help then, many do not."""
    return sqlstate(error) in _BLAMES_ROWS or classify(error) is Verdict.DATA


def explanation(error: BaseException) -> str:
    """The error, the server's own sentence, and what to do, if that is known."""
    state = sqlstate(error)
    if state is None:
        return f"{describe(error)}, a defect of reelsync: please report it"
    known = _NAME_THE_POOLER if refuses_parameters(error) else ADVICE.get(state)
    return f"{describe(error)}: {server_message(error)}" + (f"; {known}" if known else "")


def server_message(error: BaseException) -> str:
    """The first line of the server's message. Use it only where the message cannot quote values of events."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error
    return (getattr(cause, "message", None) or str(cause)).partition("\n")[0]
