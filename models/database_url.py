"""Reads database URLs in the form that psql accepts, and converts them for asyncpg.

SQLAlchemy passes each query parameter of a URL to `asyncpg.connect` by name, and asyncpg has no argument `sslmode` or
`sslrootcert`. In a DSN it reads both as libpq does, so they are passed in a DSN; arguments by name take precedence.
Source: asyncpg 0.32, `connect_utils.py`; PostgreSQL documentation, "Database Connection Control Functions".

If a password is not percent-encoded, parts of it end up in the host, the port or the database of the parsed URL. So no
message quotes a part of a URL that was refused.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

FORM = "postgresql+asyncpg://user:password@host:port/database"
PERCENT_ENCODE = "percent-encode the password (@ is %40, : is %3A, / is %2F, ? is %3F, % is %25)"
DEFAULT_PORT = 5432

_DRIVER = "postgresql+asyncpg"
_SCHEMES = frozenset({_DRIVER, "postgresql", "postgres"})
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+(%[\w.-]+)?")
_SOCKET = re.compile(r"/[^:,]*")
_HIGHEST_PORT = 65_535

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_FOR_ASYNCPG = frozenset(
    {
        "passfile",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
    }
)
_FOR_SQLALCHEMY = frozenset({"host", "port", "prepared_statement_cache_size"})
_VALUES = {
    "sslmode": SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "ssl_min_protocol_version": (_TLS_VERSIONS := ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")),
    "ssl_max_protocol_version": _TLS_VERSIONS,
}
# The most common parameters that only libpq knows. Messages may quote these names: none can be a password.
_OF_LIBPQ = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "dbname",
        "gssencmode",
        "hostaddr",
        "keepalives",
        "load_balance_hosts",
        "options",
        "password",
        "require_auth",
        "service",
        "user",
    }
)


def parse_url(url: str | URL) -> URL:
    """The URL for SQLAlchemy and asyncpg. `postgresql://` and `postgres://` are accepted too, and several hosts.

    White space around it is ignored, such as the newline at the end of a file.

    Raises:
        ValueError: it cannot be parsed, or can be read in several ways; the message never quotes any part of it.
    """
    if isinstance(url, URL):
        return url.set(drivername=_DRIVER) if url.drivername in _SCHEMES else url
    scheme, found, rest = url.strip().partition("://")
    if not found or scheme not in _SCHEMES:
        raise ValueError(f"must have the form {FORM}")
    if any(character.isspace() or not character.isprintable() for character in rest):
        raise ValueError(f"has a space or a control character in it: {PERCENT_ENCODE}")
    if rest.count("@") > 1:
        raise ValueError(f"has more than one @ in it: {PERCENT_ENCODE}")
    login, at, tail = rest.rpartition("@")
    authority, slash, path = _cut(tail)
    hosts = authority.split(",") if "," in authority else []
    try:
        parsed = make_url(f"{_DRIVER}://{login}{at}{'' if hosts else authority}{slash}{path}")
    except (ArgumentError, ValueError):
        raise ValueError(f"has a port that is not a number: {PERCENT_ENCODE}") from None
    if at and parsed.username is None:
        raise ValueError(f"has an @ in the wrong place: percent-encode the user, and {PERCENT_ENCODE}")
    with_ports = [host if ":" in host else f"{host}:{DEFAULT_PORT}" for host in hosts]
    parsed = parsed.update_query_pairs([("host", host) for host in with_ports], append=True)
    size = parsed.query.get("prepared_statement_cache_size", "0")
    if not (isinstance(size, str) and size.isascii() and size.isdecimal()):
        raise ValueError("has a prepared_statement_cache_size that is no whole number")
    for host, port in _addresses(parsed):
        _check_address(host, port)
    try:
        parsed.get_dialect()().create_connect_args(parsed)
    except (ArgumentError, ValueError):
        raise ValueError("has hosts and ports in its query that do not fit: write ?host=a:5432&host=b:5432") from None
    return parsed


def place_of(url: URL) -> str:
    """The server of a parsed URL, for messages: `host:port`, several of them, or a socket."""
    return ", ".join(
        f"the local socket{f' in {host}' * bool(host)}"
        if not host or host.startswith("/")
        else f"{f'[{host}]' if ':' in host else host}:{port or DEFAULT_PORT}"
        for host, port in _addresses(url)
    )


def hosts_of(url: URL) -> list[str]:
    """The names or addresses of the hosts of a parsed URL; none for a socket."""
    return [host for host, _ in _addresses(url) if host and not host.startswith("/")]


def _cut(tail: str) -> tuple[str, str, str]:
    """Hosts and ports, and the rest of the URL with the character that begins it."""
    end = next((index for index, character in enumerate(tail) if character in "/?"), len(tail))
    return tail[:end], tail[end : end + 1], tail[end + 1 :]


def _addresses(url: URL) -> Iterator[tuple[str | None, str | None]]:
    """Hosts and ports as SQLAlchemy reads them: of the URL itself, or in its query, `host=a:1&host=b:2` or `host=a,b`.

    Ports are not judged.
    """
    hosts, ports = (_listed(url.query.get(name, ())) for name in ("host", "port"))
    if not hosts:
        yield url.host, ports[0] if ports else None if url.port is None else str(url.port)
    for number, host in enumerate(hosts):
        name, _, port = (host, "", "") if host.startswith("/") else host.partition(":")
        yield name, port or (ports[number] if number < len(ports) else ports[-1] if ports else None)


def _listed(value: str | Iterable[str]) -> list[str]:
    return [part for text in ([value] if isinstance(value, str) else value) for part in text.split(",")]


def _check_address(host: str | None, port: str | None) -> None:
    if host and not (_SOCKET if host.startswith("/") else _HOST).fullmatch(host):
        raise ValueError(f"has a host that is not valid: {PERCENT_ENCODE}")
    if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) <= _HIGHEST_PORT):
        raise ValueError(f"has a port that is not a number from 1 to {_HIGHEST_PORT:,}: {PERCENT_ENCODE}")


def for_asyncpg(url: str | URL) -> tuple[URL, dict[str, Any]]:
    """The URL without the parameters of libpq, and the arguments of `asyncpg.connect` that mean the same.

    `ssl` is another name of `sslmode`. `sslrootcert=system` trusts the system's authorities, and implies verify-full.

    Raises:
        ValueError: a query parameter is not known, or has a value that it cannot have; never quotes a value.
    """
    parsed = parse_url(url)
    given = libpq_parameters(parsed)
    _check_known(given)
    bare = parsed.difference_update_query([*(_FOR_ASYNCPG & given.keys()), "ssl"])
    moved = {name: value for name, value in given.items() if name in _FOR_ASYNCPG}
    arguments: dict[str, Any] = {}
    if moved.get("sslrootcert") == "system":
        moved = _without_tls(moved)
        arguments["ssl"] = True
    if moved:
        arguments["dsn"] = f"postgresql://?{urlencode(moved)}"
    return bare, arguments


def libpq_parameters(url: URL) -> dict[str, str]:
    """The query of a URL; of a parameter given twice, the last counts, as in libpq."""
    given = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    mode = given.pop("ssl", None)
    return given if mode is None else {"sslmode": mode} | given


def _check_known(given: dict[str, str]) -> None:
    for name in sorted(given.keys() - _FOR_ASYNCPG - _FOR_SQLALCHEMY):
        if name in _OF_LIBPQ:
            what = f"{name} in its query, which reelsync does not accept"
        elif near := get_close_matches(name, _FOR_ASYNCPG | _FOR_SQLALCHEMY, n=1):
            what = f"a name in its query that is not known, perhaps for {near[0]}"
        else:
            what = "a name in its query that is not known"
        raise ValueError(f"has {what}; it may have {', '.join(sorted(_FOR_ASYNCPG))}")
    for name, values in _VALUES.items():
        if given.get(name, values[0]) not in values:
            raise ValueError(f"has an {name} that is none of {', '.join(values)}")


def _without_tls(moved: dict[str, str]) -> dict[str, str]:
    """The other TLS parameters when asyncpg uses the system's authorities, which it can do in one way only."""
    tls = {name for name in moved if name.startswith("ssl")}
    if tls - {"sslmode", "sslrootcert"} or moved.get("sslmode", "verify-full") != "verify-full":
        message = "has sslrootcert=system, which goes with sslmode=verify-full and nothing else about TLS"
        raise ValueError(message)
    return {name: value for name, value in moved.items() if name not in tls}
