"""A hot standby of an embedded PostgreSQL: a copy that follows it, and that can be read."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import make_url

from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres


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


@asynccontextmanager
async def following(url: str) -> AsyncIterator[str]:
    """The same database on a standby, for the same user, which is the superuser."""
    standby = Standby(url)
    await asyncio.to_thread(standby.start)
    try:
        yield standby.url(str(make_url(url).database))
    finally:
        await asyncio.to_thread(standby.stop)
