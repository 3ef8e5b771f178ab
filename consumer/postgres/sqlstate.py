"""What an error of the database means, and what to do about it. Pure.

Database errors are distinguished by SQLSTATE, never by class: through asyncpg most arrive as a plain DBAPIError, and an
outage often as a built-in OSError. Source: PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes".
"""

import asyncio
import socket
import ssl
from enum import Enum

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from reelsync.consumer.errors import _REFUSED_BY_A_POOLER, MisconfiguredError, ReelsyncError, UnavailableError, is_fatal


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


_EXACT = {
    "23514": Verdict.DATA,
    "23P01": Verdict.DATA,
    "40001": Verdict.AGAIN,
    "40P01": Verdict.AGAIN,
    "55P03": Verdict.AGAIN,
    "23505": Verdict.AGAIN,
    # A row that was known to exist is gone: the database lost transactions. The next attempt reads again.
    "23503": Verdict.AGAIN,
    "57014": Verdict.HALVE,
    "53200": Verdict.HALVE,
    "25006": Verdict.OUTAGE,
}
_BY_CLASS = {
    "22": Verdict.DATA,
    "54": Verdict.DATA,
    "08": Verdict.OUTAGE,
    "53": Verdict.OUTAGE,
    "57": Verdict.OUTAGE,
    "28": Verdict.OUTAGE,
    "3D": Verdict.OUTAGE,
}
EXCLUSION_VIOLATION = "23P01"
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
    if state is not None:
        return _EXACT.get(state) or _BY_CLASS.get(state[:2], Verdict.BUG)
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
    parts = [type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__]
    if isinstance(error, ssl.SSLCertVerificationError):
        parts.append(error.verify_message)
    state = sqlstate(error)
    if state:
        parts.append(f"SQLSTATE {state}")
    if state == _REFUSED_BY_A_POOLER and is_fatal(error):
        parts.append(server_message(error))
    name = constraint(error) if isinstance(error, DBAPIError) else None
    if name:
        parts.append(f"constraint {name}")
    return ", ".join(parts)


def server_message(error: BaseException) -> str:
    """The first line of the server's message. Use it only where the message cannot quote values of events."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error
    return (getattr(cause, "message", None) or str(cause)).partition("\n")[0]
