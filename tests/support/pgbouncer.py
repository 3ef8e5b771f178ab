"""PgBouncer before a test's database: Debian's, or the one that TEST_PGBOUNCER names."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from reelsync.testing.servers.child_process import Account, ChildServer, free_port

MODES = ("session", "transaction")
_START_SECONDS = 30.0


def _program() -> str | None:
    return os.environ.get("TEST_PGBOUNCER") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def _tracks_statements() -> bool:
    program = _program()
    if program is None:
        return False
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, told.split()[1].split(".")[:2])) >= (1, 21)


TRACKS_STATEMENTS = _tracks_statements()
"""Whether this PgBouncer has `max_prepared_statements`, and so takes statements that were prepared once."""


class PgBouncer:
    """It serves the roles of the URLs that it was started with. Every transaction gets another server connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self._port

    def before(self, url: str) -> str:
        """The URL of the same database through the pooler."""
        return make_url(url).set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)


@contextmanager
def pgbouncer(mode: str, *urls: str, settings: Mapping[str, str] | None = None) -> Iterator[PgBouncer]:
    """PgBouncer in this mode, before the server of the first URL; `settings` are further ones of its own."""
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="reelsync-pgbouncer-"))
    account = None
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        account = Account(nobody.pw_uid, nobody.pw_gid)
        os.chown(directory, account.uid, account.gid)
    try:
        command = [_found_program(), str(_configured(directory, mode, port, urls, settings or {}))]
        server = ChildServer(
            command, log=directory / "log", orphan_signal="KILL", orphan_remove=directory, account=account
        )
        server.wait_until(lambda: _answers(port), "PgBouncer", _START_SECONDS)
        try:
            yield PgBouncer(port)
        finally:
            server.stop(signal.SIGINT)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _configured(directory: Path, mode: str, port: int, urls: tuple[str, ...], settings: Mapping[str, str]) -> Path:
    logins = {make_url(url).username: make_url(url).password for url in urls}
    users = directory / "users.txt"
    users.write_text("".join(f'"{name}" "{password}"\n' for name, password in logins.items()))
    own = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": users,
        "pool_mode": mode,
        "default_pool_size": 20,
        "server_round_robin": 1,
        **settings,
    }
    target = make_url(urls[0])
    lines = ["[databases]", f"* = host={target.host} port={target.port}", "[pgbouncer]"]
    file = directory / "pgbouncer.ini"
    file.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in own.items())]) + "\n")
    for made in (users, file):
        made.chmod(0o644)
    return file


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _found_program() -> str:
    program = _program()
    if program:
        return program
    message = "no PgBouncer: install Debian's, or set TEST_PGBOUNCER to its program"
    if os.environ.get("REELSYNC_REQUIRE_DOCKER") == "1":
        pytest.fail(message)
    pytest.skip(message)
