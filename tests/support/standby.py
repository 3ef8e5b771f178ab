"""A hot standby of an embedded PostgreSQL: a copy that follows it, that can be read, and that may take its place."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres

from .running import eventually


class Standby(EmbeddedPostgres):
    """Follows the server at `url`, of which that is the superuser. Its databases and passwords are the primary's."""

    def __init__(self, url: str) -> None:
        super().__init__(durable=False)
        self._primary = make_url(url)

    def _make_cluster(self) -> None:
        self._directory = home = Path(tempfile.mkdtemp(prefix="reelsync-standby-"))
        (home / "password").write_text(str(self._primary.password), "utf-8")
        self._password = str(self._primary.password)
        if self._account is not None:
            shutil.chown(home, self._account.uid, self._account.gid)
        self._bin = self._package_binaries()
        primary = self._primary
        address = (f"--host={primary.host}", f"--port={primary.port}", f"--username={primary.username}")
        options = ("--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync")
        self._run("pg_basebackup", *address, *options, f"--pgdata={home / 'data'}")


class Pair:
    """A primary and its asynchronous standby, which change places. Each of the two ports stays in use."""

    def __init__(self) -> None:
        self.primary: EmbeddedPostgres = EmbeddedPostgres(durable=False)
        self.standby: EmbeddedPostgres = self.primary
        self._ports: list[int] = []

    def url(self, login: str) -> str:
        """That login, a URL of either server, on whichever of the two takes writes."""
        query = {"host": [f"127.0.0.1:{port}" for port in self._ports], "target_session_attrs": "read-write"}
        return make_url(login).set(host=None, port=None, query=query).render_as_string(hide_password=False)

    def start(self) -> None:
        """Start both."""
        self.primary.start()
        self._follow()
        self._ports = [self.primary.port, self.standby.port]

    def stop(self) -> None:
        """Stop both, and remove them."""
        self.standby.stop()
        self.primary.stop()

    async def cut_off(self) -> None:
        """From now on the standby receives nothing."""
        await _execute(self.standby, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        await _until(self.standby, "SELECT count(*) = 0 FROM pg_stat_wal_receiver", "the standby is cut off")

    async def kill_and_promote(self) -> None:
        """The primary ends as in a crash of its machine, and the standby takes its place."""
        os.kill(self.primary.pid, signal.SIGKILL)
        await self._promote()

    async def switch_over(self) -> None:
        """The primary lives on but takes no more writes; the standby has them all, and takes its place."""
        await _execute(self.primary, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        await _until(
            self.primary, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_xid IS NOT NULL", "no write is left"
        )
        end = await _execute(self.primary, "SELECT pg_current_wal_lsn()::text")
        await _until(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{end}'::pg_lsn", "the standby has it all")
        await self._promote()

    async def follow_again(self) -> None:
        """What was the primary is made anew, as a standby of what is."""
        await asyncio.to_thread(self.standby.stop)
        await asyncio.to_thread(self._follow, self.standby.port)

    async def timeline(self) -> int:
        """The number of the primary's timeline, which each promotion increases by one."""
        return int(
            await _execute(self.primary, "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
        )

    async def _promote(self) -> None:
        await _execute(self.standby, "SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary

    def _follow(self, port: int = 0) -> None:
        self.standby = Standby(self.primary.url())
        self.standby.port = port
        self.standby.start()


@contextmanager
def two_servers() -> Iterator[Pair]:
    """A primary and a standby, both empty."""
    pair = Pair()
    try:
        pair.start()
        yield pair
    finally:
        pair.stop()


@asynccontextmanager
async def following(url: str) -> AsyncIterator[str]:
    """The same database on a standby, for the same user, which is the superuser."""
    standby = Standby(url)
    await asyncio.to_thread(standby.start)
    try:
        yield standby.url(str(make_url(url).database))
    finally:
        await asyncio.to_thread(standby.stop)


async def _execute(server: EmbeddedPostgres, *statements: str) -> Any:
    """The value of the last statement."""
    engine = create_async_engine(server.url(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


async def _until(server: EmbeddedPostgres, query: str, what: str) -> None:
    async def is_so() -> bool:
        return bool(await _execute(server, query))

    await eventually(is_so, what)
