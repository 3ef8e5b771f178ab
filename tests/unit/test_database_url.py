"""Database URLs as psql takes them, as asyncpg gets them. What asyncpg makes of them is asked of asyncpg itself."""

import ssl
import traceback
from pathlib import Path
from typing import Any

import pytest
from asyncpg.connect_utils import SSLMode, _parse_connect_dsn_and_args
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from reelsync.models.database_url import for_asyncpg, parse_url, place_of

URL = "postgresql+asyncpg://writer:p%40ss@db.example:5433/reelsync"


def parsed_by_asyncpg(query: str) -> tuple[list[Any], Any]:
    """Addresses and parameters, as `asyncpg.connect` would have them from SQLAlchemy's dialect."""
    url, arguments = for_asyncpg(URL + query)
    given = url.translate_connect_args(username="user") | arguments
    names = ("passfile", "service", "servicefile", "direct_tls", "server_settings")
    names += ("target_session_attrs", "krbsrvname", "gsslib", "ssl", "dsn")
    return _parse_connect_dsn_and_args(**(dict.fromkeys(names) | given))


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No certificate files of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("query", "mode", "verified", "checks_host"),
    [
        ("", SSLMode.prefer, ssl.CERT_NONE, False),
        ("?sslmode=require", SSLMode.require, ssl.CERT_NONE, False),
        ("?ssl=require", SSLMode.require, ssl.CERT_NONE, False),
        ("?ssl=require&sslmode=prefer", SSLMode.prefer, ssl.CERT_NONE, False),
        ("?sslmode=require&sslmode=prefer", SSLMode.prefer, ssl.CERT_NONE, False),
        ("?sslrootcert=system", SSLMode.verify_full, ssl.CERT_REQUIRED, True),
        ("?sslrootcert=system&sslmode=verify-full", SSLMode.verify_full, ssl.CERT_REQUIRED, True),
    ],
)
def test_what_is_given_is_what_asyncpg_does(
    query: str, mode: SSLMode, verified: ssl.VerifyMode, checks_host: bool
) -> None:
    addresses, given = parsed_by_asyncpg(query)
    assert addresses == [("db.example", 5433)]
    assert (given.user, given.password, given.database) == ("writer", "p@ss", "reelsync")
    assert given.sslmode is mode
    assert (given.ssl.verify_mode, given.ssl.check_hostname) == (verified, checks_host)


def test_tls_can_be_turned_off() -> None:
    assert parsed_by_asyncpg("?sslmode=disable")[1].ssl is False


@pytest.mark.parametrize("path", ["/run/a b/ca.pem", "/run/a&b=c%20/ca.pem", "/run/ä/ca.pem"])
def test_a_path_arrives_as_it_is(path: str, tmp_path: Path) -> None:
    url, _ = for_asyncpg(URL)
    pasted = url.update_query_dict({"sslmode": "verify-full", "sslrootcert": str(tmp_path) + path})
    with pytest.raises(FileNotFoundError):
        parsed_by_asyncpg("?" + pasted.render_as_string().partition("?")[2])
    bare, arguments = for_asyncpg(pasted)
    assert not bare.query
    assert arguments["dsn"].startswith("postgresql://?sslmode=verify-full&sslrootcert=")


def test_what_sqlalchemy_knows_stays_in_the_url() -> None:
    url, arguments = for_asyncpg(f"{URL}?prepared_statement_cache_size=0&target_session_attrs=read-write")
    assert dict(url.query) == {"prepared_statement_cache_size": "0"}
    assert arguments == {"dsn": "postgresql://?target_session_attrs=read-write"}


@pytest.mark.parametrize(
    "query",
    [
        "?channel_binding=require",
        "?sslmode=verify-fulll",
        "?sslrootcert=system&sslmode=require",
        "?sslrootcert=system&sslcert=/c.pem",
        "?target_session_attrs=secret",
        "?ssl_min_protocol_version=secret",
        "?sslnegotiation=secret",
        "?prepared_statement_cache_size=secret",
        "?secret=1",
        "?password=secret",
        "?host=a&port=secret",
        "?host=a:secret&host=b:1",
        "?host=s%20ecret",
        "?host=a&host=b:1",
        "?host=a:1&port=secret",
        "?host=a,b&port=1,2,3",
    ],
)
def test_what_would_be_ignored_or_weaker_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="has") as refused:
        for_asyncpg(URL + query)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@db.example/d", "db.example:5432"),
        ("postgresql://u:p@[::1]:5433/d", "[::1]:5433"),
        ("postgresql://u:p@a:1,b/d", "a:1, b:5432"),
        ("postgresql://u:p@/d?host=a:1&host=b:2", "a:1, b:2"),
        ("postgresql://u:p@/d?host=a,b&port=1,2", "a:1, b:2"),
        ("postgresql://u:p@/d?host=a&port=7", "a:7"),
        ("postgresql://u:p@/d?host=/var/run/postgresql", "the local socket in /var/run/postgresql"),
        ("postgresql:///d", "the local socket"),
    ],
)
def test_a_place_is_named_as_asyncpg_takes_it(url: str, place: str) -> None:
    parsed, _ = for_asyncpg(url)
    assert place_of(parsed) == place
    _, given_to_asyncpg = dialect().create_connect_args(parsed)
    hosts, ports = (_listed(given_to_asyncpg.get(name)) for name in ("host", "port"))
    asked = [f"{host}:{port}" for host, port in zip(hosts, ports or [5432], strict=False) if host[0] != "/"]
    assert asked == ([] if "socket" in place else place.replace("[", "").replace("]", "").split(", "))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


@given(
    before=st.text("@:/?#[]%&=+,ab1", max_size=4),
    after=st.text("@:/?#[]%&=+,ab1", max_size=4),
    form=st.sampled_from(["u:{}@h/d", "u:{}@h:5432/d?sslmode=require", "u:{}", "{}@h/d", "u{}:p@h/d", "u:{}@[::1]/d"]),
)
def test_a_password_shows_in_no_message_and_in_no_place(before: str, after: str, form: str) -> None:
    url = "postgresql+asyncpg://" + form.format(f"{before}hunter2{after}")
    try:
        parsed = parse_url(url)
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))
    else:
        # What was understood is quoted; a password is none of it. Without its @, nothing tells a password from a host.
        shown = f"{place_of(parsed)} {parsed.database} {list(parsed.query)}" if "@" in form else ""
    assert "hunter2" not in shown
