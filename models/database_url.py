"""Database URLs as psql takes them, for a driver that takes them otherwise.

SQLAlchemy hands each query parameter of a URL to `asyncpg.connect` by its name, and asyncpg has no argument `sslmode`
or `sslrootcert`; in a DSN it reads them as libpq does. So they go to it in a DSN. What is given by name counts more.
Source: asyncpg 0.32, `connect_utils.py`; PostgreSQL documentation, "Database Connection Control Functions".
"""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import URL, make_url

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


def for_asyncpg(url: str | URL) -> tuple[URL, dict[str, Any]]:
    """The URL without what libpq alone knows, and the arguments of `asyncpg.connect` that say the same.

    `ssl` is another name of `sslmode`. `sslrootcert=system` trusts the system's authorities, and verifies in full.

    Raises:
        ValueError: a query parameter is not known, or has a value that it cannot have; never quotes a value.
    """
    parsed = make_url(url)
    given = libpq_parameters(parsed)
    unknown = sorted(given.keys() - _FOR_ASYNCPG - _FOR_SQLALCHEMY)
    if unknown:
        message = f"has {', '.join(unknown)} in its query, which may have {', '.join(sorted(_FOR_ASYNCPG))}"
        raise ValueError(message)
    if given.get("sslmode", "prefer") not in SSL_MODES:
        message = f"has an sslmode that is none of {', '.join(SSL_MODES)}"
        raise ValueError(message)
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


def _without_tls(moved: dict[str, str]) -> dict[str, str]:
    """What is left when asyncpg is told to use the system's authorities, which it can in one way only."""
    tls = {name for name in moved if name.startswith("ssl")}
    if tls - {"sslmode", "sslrootcert"} or moved.get("sslmode", "verify-full") != "verify-full":
        message = "has sslrootcert=system, which goes with sslmode=verify-full and nothing else about TLS"
        raise ValueError(message)
    return {name: value for name, value in moved.items() if name not in tls}
