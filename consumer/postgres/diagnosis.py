"""What is wrong with the database, explained to people: where it is, why it cannot be used, and what to do."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from asyncpg import ClientConfigurationError
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from reelsync.consumer.errors import MisconfiguredError, ReelsyncError, UnavailableError, WrongPortError
from reelsync.consumer.other_protocols import Protocol, protocol_of, refuses_tls
from reelsync.consumer.settings import DatabaseSettings
from reelsync.consumer.tls import TlsFile, TlsFiles, causes, handshake_problem
from reelsync.models.database_url import DEFAULT_PORT, hosts_of, libpq_parameters, parse_url, place_of

from .sqlstate import ADVICE, ASYNCPG_ERRORS, Verdict, classify, describe, explanation, server_message, sqlstate

_URL = "REELSYNC_DATABASE__URL"
_FIXES = ADVICE | {
    "28000": f"the login is refused: see {_URL}, whether it needs ?sslmode=verify-full, and the server's pg_hba.conf",
    "28P01": f"the user or the password is refused: see {_URL}, where a password is percent-encoded",
    "3D000": f"there is no such database: create it, or see {_URL}",
    "42P01": "the schema does not exist: run `reelsync migrate`",
    "42P07": "a table of that name exists, and it is not reelsync's: give reelsync a database of its own",
    "42710": "something of that name exists, and it is not reelsync's: give reelsync a database of its own",
}

_BUSY = {
    "25006": "it accepts no writes: is it a replica?",
    "53100": "its disk is full: make room there",
    "53300": "it has too many connections: close some, or raise max_connections there",
}
"""Why a server that answers cannot serve at present."""
_LOCKED = "see which sessions hold locks there"


@contextmanager
def explained(settings: DatabaseSettings) -> Iterator[None]:
    """Turn an error of the database, or of the connection to it, into one with a message for people.

    Raises:
        ReelsyncError: see `explain`.
    """
    try:
        yield
    except (SQLAlchemyError, OSError, *ASYNCPG_ERRORS) as error:
        raise explain(error, settings) from error


def explain(error: BaseException, settings: DatabaseSettings) -> ReelsyncError:
    """The error to report: MisconfiguredError if waiting does not help, UnavailableError if it may.

    What the server says about a login is quoted. It names users, databases and addresses, but no password.
    """
    explained_error = _explain(error, settings)
    explained_error.sqlstate = sqlstate(error)
    return explained_error


def _explain(error: BaseException, settings: DatabaseSettings) -> ReelsyncError:
    url = parse_url(settings.url.get_secret_value())
    where = f"the database {url.database} at {place_of(url)}"
    if other := _other_protocol(error, url):
        return WrongPortError(f"{where} cannot be used: {other} answers there: see the port in {_URL}")
    problem = _refusal(error) or _tls_problem(error, url)
    if problem:
        return MisconfiguredError(f"{where} cannot be used: {problem}")
    if any(isinstance(cause, socket.gaierror) for cause in causes(error)):
        return UnavailableError(
            f"{where} is not reached, name not found: see the host in {_URL}, and the network's DNS"
        )
    state = sqlstate(error)
    if state in _BUSY or classify(error) in {Verdict.AGAIN, Verdict.HALVE}:
        remedy = _BUSY.get(state or "", _LOCKED)
        return UnavailableError(f"{where} cannot be used now ({describe(error)}): {remedy}")
    if classify(error) is Verdict.OUTAGE:
        # With TLS 1.3 a server that refuses our certificate may close the connection before its reason can be read.
        certificate = ", and does it accept the client certificate" if _files(url).certificate.path else ""
        return UnavailableError(
            f"{where} does not answer ({describe(error)}): is PostgreSQL up, and {_URL} right{certificate}?"
        )
    return ReelsyncError(f"{where} cannot be used ({describe(error)}): see its log")


def _other_protocol(error: BaseException, url: URL) -> Protocol | None:
    """The other protocol that is spoken there, if a connection was accepted but PostgreSQL did not answer on it."""
    # asyncpg itself gives class 08 to the error of a connection that was closed.
    spoke = not (sqlstate(error) or "08").startswith("08")
    known = socket.gaierror | ssl.SSLError | ConnectionRefusedError
    hosts = hosts_of(url)
    if spoke or len(hosts) != 1 or any(isinstance(cause, known) for cause in causes(error)):
        return None
    return protocol_of(hosts[0], url.port or DEFAULT_PORT, "PostgreSQL")


def _refusal(error: BaseException) -> str | None:
    state = sqlstate(error)
    if state is None:
        return None
    if state in _FIXES:
        return f"{_FIXES[state]} (SQLSTATE {state}: {server_message(error)})"
    return explanation(error) if classify(error) in {Verdict.BUG, Verdict.DATA} else None


def _tls_problem(error: BaseException, url: URL) -> str | None:
    problem = handshake_problem(error, f"sslrootcert in {_URL}", f"sslcert and sslkey in {_URL}")
    if problem:
        return problem
    may_do_without = {
        "allow",
        "prefer",
    }  # With these modes asyncpg goes on without TLS, so its ConnectionError means something else.
    for cause in causes(error):
        if type(cause) is ConnectionError and tls_mode(url) not in may_do_without and _refuses_tls(url):
            return f"it does not speak TLS: turn it on there, or see sslmode in {_URL}"
        if isinstance(cause, ClientConfigurationError):
            return f"{cause}: see {_URL}".replace("\n", ", ")
        if isinstance(cause, OSError) and cause.errno is not None and (files := _files(url).problem()):
            return files
    return None


def _refuses_tls(url: URL) -> bool:
    return any(refuses_tls(host, url.port or DEFAULT_PORT) for host in hosts_of(url))


def tls_mode(url: URL) -> str:
    """The `sslmode` of connections to a URL, as asyncpg chooses it."""
    given = libpq_parameters(url)
    implied = "verify-full" if given.get("sslrootcert") == "system" else os.environ.get("PGSSLMODE", "prefer")
    return given.get("sslmode", implied)


def _files(url: URL) -> TlsFiles:
    """The TLS files that asyncpg uses: from the URL, or else from libpq's environment variables."""
    given = libpq_parameters(url)

    def file(name: str) -> TlsFile:
        variable = f"PG{name.upper()}"
        return (
            TlsFile(f"{name} in {_URL}", given[name]) if name in given else TlsFile(variable, os.environ.get(variable))
        )

    return TlsFiles(file("sslrootcert"), file("sslcert"), file("sslkey"), given.get("sslpassword"))
