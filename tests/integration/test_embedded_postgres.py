"""The embedded PostgreSQL, where its port is taken before it can listen."""

import socket
from collections.abc import Iterator

import pytest

from reelsync.testing.servers import embedded_postgres
from reelsync.testing.servers.child_process import ServiceError, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_a_port_that_is_taken_meanwhile_is_given_up_for_another(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = iter([taken, free_port()])
    monkeypatch.setattr(embedded_postgres, "free_port", lambda: next(chosen))
    with embedded_postgres.EmbeddedPostgres() as server:
        assert server.port not in {None, taken}
    assert list(chosen) == []


def test_what_else_fails_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = iter([free_port()])
    monkeypatch.setattr(embedded_postgres, "free_port", lambda: next(chosen))
    with pytest.raises(ServiceError, match="no_such_setting"):
        embedded_postgres.EmbeddedPostgres(settings={"no_such_setting": "1"}).__enter__()
