"""TLS to PostgreSQL, as users paste it into the URL: what works, and what each thing that is wrong says."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import make_url, text

from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.certificates import KEY_PASSWORD, Certificates, make_certificates
from tests.support.processes import run_command
from tests.support.roles import TEST_SCHEMA
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.secrets_kept import CONSOLE, JSON, assert_failed_check, assert_kept, assert_one_error
from tests.support.tls_postgres import CERTIFIED_ROLE, TlsPostgres, tls_postgres

WRONG = "canary-password-51d7"
Query = Callable[[Certificates], dict[str, object]]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), ["localhost"], CERTIFIED_ROLE)


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[TlsPostgres]:
    with tls_postgres(certificates) as started:
        yield started


@pytest.fixture
def database(server: TlsPostgres, certificates: Certificates) -> Iterator[str]:
    """A database reached with `verify-full`, migrated by the command with the same URL."""
    name = f"test_{secrets.token_hex(6)}"
    server.create_database(name)
    url = server.with_query(name, sslmode="verify-full", sslrootcert=certificates.authority)
    schema = {"REELSYNC_DATABASE__SCHEMA": TEST_SCHEMA} if TEST_SCHEMA else {}
    migrated = run_command(None, "migrate", "--json", REELSYNC_DATABASE__URL=url, **schema)
    assert migrated.returncode == 0, migrated.stderr
    yield url
    server.drop_database(name)


def password_of(url: str) -> str:
    password = make_url(url).password
    assert isinstance(password, str)
    return password


async def ask(settings: Settings, query: str) -> list[object]:
    engine = engine_of(settings.database)
    try:
        async with engine.begin() as connection:
            found = await connection.execute(text(query))
            return [tuple(row) for row in found] if found.returns_rows else []
    finally:
        await engine.dispose()


async def test_every_connection_of_a_consumer_is_encrypted(settings: Settings) -> None:
    await publish(settings, topic_of(settings, "video"), [(an_id(n).encode(), video("created", n)) for n in range(50)])
    async with consuming(settings):
        await until_applied(settings)
        connections = await ask(
            settings,
            "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'reelsync'",
        )
    assert connections == [(True,)]
    assert len(await rows_of(settings, "videos")) == 50


@pytest.mark.parametrize("command", ["check", "lag"])
def test_commands_take_the_same_url(settings: Settings, command: str) -> None:
    done = run_command(settings, *command.split(), "--json", **JSON)
    assert done.returncode == 0, done.stderr
    assert_kept(done, [password_of(settings.database.url.get_secret_value())])


async def test_a_client_certificate_is_a_login(settings: Settings, certificates: Certificates) -> None:
    await ask(settings, f"DO 'BEGIN CREATE ROLE {CERTIFIED_ROLE} LOGIN SUPERUSER; EXCEPTION WHEN OTHERS THEN END'")
    url = make_url(settings.database.url.get_secret_value()).set(username=CERTIFIED_ROLE, password=WRONG)
    url = url.update_query_dict({"sslcert": str(certificates.client.certificate)})
    for key in ({"sslkey": certificates.client.key}, encrypted := {"sslkey": certificates.client_encrypted_key}):
        given = {name: str(value) for name, value in (key | {"sslpassword": KEY_PASSWORD}).items()}
        with_key = url.update_query_dict(given).render_as_string(hide_password=False)
        done = run_command(settings, "check", "--json", REELSYNC_DATABASE__URL=with_key)
        assert done.returncode == 0, done.stdout
    without = url.update_query_dict({name: str(value) for name, value in encrypted.items()})
    refused = run_command(
        settings, "check", "--json", **CONSOLE, REELSYNC_DATABASE__URL=without.render_as_string(hide_password=False)
    )
    assert_failed_check(refused, "database and schema", "the key's password must be right", [WRONG])


def verified(certificates: Certificates) -> dict[str, object]:
    return {"sslmode": "verify-full", "sslrootcert": certificates.authority}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            lambda made: verified(made) | {"sslrootcert": made.other_authority},
            "is signed by an authority that is not trusted here",
        ),
        (
            lambda made: verified(made) | {"sslrootcert": made.authority.parent / "none.pem"},
            "none.pem, which cannot be read (No such file or directory)",
        ),
        (
            lambda made: verified(made) | {"sslrootcert": made.server.key},
            "server.key, which has no certificate in PEM form",
        ),
        (
            lambda made: verified(made) | {"sslcert": made.client.certificate, "sslkey": made.server.key},
            "server.key does not belong to the certificate in",
        ),
        (lambda _: {"sslmode": "verify-full"}, "root.crt"),
        (lambda _: {"sslrootcert": "system"}, "is signed by an authority that is not trusted here"),
        (lambda _: {"sslmode": "disable"}, "whether it needs ?sslmode=verify-full"),
    ],
)
def test_what_is_wrong_with_the_url_is_one_error_at_once(
    settings: Settings, server: TlsPostgres, certificates: Certificates, query: Query, said: str
) -> None:
    right = settings.database.url.get_secret_value()
    url = server.with_query(str(make_url(right).database), **query(certificates))
    kept = [password_of(right), url]
    checked = run_command(settings, "check", "--json", **CONSOLE, REELSYNC_DATABASE__URL=url)
    assert_failed_check(checked, "database and schema", said, kept)
    assert_one_error(run_command(settings, "run", **JSON, REELSYNC_DATABASE__URL=url), said, kept)


@pytest.mark.parametrize("command", ["check", "run", "migrate", "lag", "offsets show", "dlq list"])
def test_every_command_says_that_the_password_is_wrong_and_not_which(settings: Settings, command: str) -> None:
    right = make_url(settings.database.url.get_secret_value())
    url = right.set(password=WRONG).render_as_string(hide_password=False)
    said = "the user or the password is refused: see REELSYNC_DATABASE__URL"
    done = run_command(settings, *command.split(), **CONSOLE, REELSYNC_DATABASE__URL=url)
    if command == "check":
        assert said in done.stdout
        assert_kept(done, [WRONG, url])
    else:
        assert_one_error(done, said, [WRONG, url])


def test_a_client_certificate_of_another_authority_is_named(
    settings: Settings, server: TlsPostgres, certificates: Certificates
) -> None:
    client = certificates.client_of_other
    query = verified(certificates) | {"sslcert": client.certificate, "sslkey": client.key}
    url = server.with_query(str(make_url(settings.database.url.get_secret_value()).database), **query)
    done = run_command(settings, "check", "--json", **JSON, REELSYNC_DATABASE__URL=url)
    assert_failed_check(done, "database and schema", "accept the client certificate", [url])


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("server_elsewhere", "its certificate is for another host name"),
        ("server_expired", "its certificate has expired"),
    ],
)
def test_what_is_wrong_with_the_certificate_is_one_error_at_once(
    settings: Settings, server: TlsPostgres, certificates: Certificates, shown: str, said: str
) -> None:
    kept = [password_of(settings.database.url.get_secret_value())]
    with server.showing(getattr(certificates, shown)):
        assert_failed_check(run_command(settings, "check", "--json", **JSON), "database and schema", said, kept)
        assert_one_error(run_command(settings, "run", **CONSOLE), said, kept)
    assert run_command(settings, "check").returncode == 0


async def test_a_running_consumer_waits_out_a_certificate_that_does_not_fit(
    settings: Settings, server: TlsPostgres, certificates: Certificates
) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(an_id(1).encode(), video("created", 1))])
    async with consuming(settings) as consumer:
        await until_applied(settings)
        with server.showing(certificates.server_elsewhere):
            await publish(settings, topic, [(an_id(2).encode(), video("created", 2))])

            async def refused() -> bool:
                value = consumer.metrics.registry.get_sample_value("reelsync_retries_total", {"reason": "outage"})
                return (value or 0) >= 3

            await eventually(refused, "three attempts at a server that shows the wrong certificate")
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 2
