"""TLS and logins to Apache Kafka: what works with each command, and what each thing that is wrong says."""

import json
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from structlog.testing import capture_logs

from reelsync.consumer.settings import Settings
from tests.containers.connecting import (
    Security,
    Way,
    mutual_tls,
    scram_in_the_clear,
    scram_over_tls,
    tls_alone,
    used,
    variables,
)
from tests.containers.tls_kafka import TlsKafka, tls_kafka
from tests.support.builders import an_id, video
from tests.support.certificates import KEY_PASSWORD
from tests.support.processes import process, run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.secrets_kept import CONSOLE, JSON, assert_failed_check, assert_kept, assert_one_error

EVENTS = 30
WRONG = "canary-password-2c8e"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsKafka]:
    with tls_kafka(tmp_path_factory.mktemp("certificates")) as started:
        yield started


@pytest.fixture
async def topics(kafka: TlsKafka) -> dict[str, str]:
    return await kafka.create_topics()


@pytest.fixture
def unsecured(database: str, kafka: TlsKafka, topics: dict[str, str]) -> Settings:
    """Settings for the listener without any security, where tests prepare and look."""
    connection = {"bootstrap_servers": kafka.address("plain"), "topics": topics, "group_id": secrets.token_hex(4)}
    return Settings.model_validate(
        {"kafka": connection | {"session_timeout_ms": 6000, "anchor_timeout_ms": 1000}, "database": {"url": database}}
    )


def secured(unsecured: Settings, address: str, security: Security) -> Settings:
    changes = {"bootstrap_servers": address} | used(security)
    kafka = type(unsecured.kafka).model_validate(unsecured.kafka.model_dump() | changes)
    return unsecured.model_copy(update={"kafka": kafka})


def secrets_of(settings: Settings, kafka: TlsKafka) -> list[str]:
    password = make_url(settings.database.url.get_secret_value()).password
    assert isinstance(password, str)
    return [kafka.password, KEY_PASSWORD, WRONG, password]


@pytest.mark.parametrize("way", [scram_over_tls, scram_in_the_clear, tls_alone, mutual_tls])
async def test_events_are_published_consumed_and_counted(
    unsecured: Settings, kafka: TlsKafka, way: Way, tmp_path: Path
) -> None:
    address, security = way(kafka, kafka.certificates)
    settings, given = secured(unsecured, address, security), variables(address, security)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(video("created", number) for number in range(EVENTS)))
    published = run_command(unsecured, "publish", str(file), "--json", **given, **JSON)
    assert json.loads(published.stdout)["published"] == EVENTS, published.stderr
    async with consuming(settings):
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == EVENTS
    lag = run_command(unsecured, "lag", "--json", **given, **CONSOLE)
    assert [sum(row[column] for row in json.loads(lag.stdout)) for column in ("lag", "end")] == [0, EVENTS]
    assert_kept(published, secrets_of(settings, kafka))
    assert_kept(lag, secrets_of(settings, kafka))


@pytest.mark.parametrize("form", [CONSOLE, JSON])
async def test_check_run_and_offsets_work_and_keep_secrets_however_much_is_logged(
    unsecured: Settings, kafka: TlsKafka, form: dict[str, str]
) -> None:
    address, security = scram_over_tls(kafka, kafka.certificates)
    given = variables(address, security) | form
    await publish(
        unsecured, topic_of(unsecured, "video"), [(an_id(n).encode(), video("created", n)) for n in range(EVENTS)]
    )
    with process(unsecured, "-m", "reelsync.consumer", "run", **given) as child:
        await until_applied(unsecured)
        child.send_signal(signal.SIGTERM)
        _, logged = child.communicate(timeout=60)
    assert child.returncode == 0, logged
    assert "consumer.started" in logged
    assert "aiokafka" not in logged
    assert not [secret for secret in secrets_of(unsecured, kafka) if secret in logged]
    topic = topic_of(unsecured, "video")
    for command in ("check", "offsets show --json", f"offsets reset {topic} 0 --to earliest"):
        done = run_command(unsecured, *command.split(), **given)
        assert done.returncode == 0, done.stderr
        assert_kept(done, secrets_of(unsecured, kafka))


AT_THE_START = ("authority", "password", "host name", "advertised host name", "expired", "plaintext to TLS")

WRONGS: dict[str, tuple[Way, str]] = {
    "authority": (
        lambda kafka, made: (kafka.address("both"), {"ssl_cafile": str(made.other_authority)}),
        "is signed by an authority that is not trusted here",
    ),
    "password": (
        lambda kafka, _: (kafka.address("both"), {"sasl_password": WRONG}),
        "it refuses the user or the password: see REELSYNC_KAFKA__SASL_USERNAME, …SASL_PASSWORD",
    ),
    "user": (
        lambda kafka, _: (kafka.address("both"), {"sasl_username": "nobody"}),
        "it refuses the user or the password: see REELSYNC_KAFKA__SASL_USERNAME, …SASL_PASSWORD",
    ),
    "mechanism": (
        lambda kafka, _: (kafka.address("both"), {"sasl_mechanism": "PLAIN"}),
        "it does not offer PLAIN: see REELSYNC_KAFKA__SASL_MECHANISM",
    ),
    "host name": (lambda kafka, _: (kafka.address("elsewhere"), {}), "its certificate is for another host name"),
    "advertised host name": (
        lambda kafka, _: (kafka.address("misadvertised"), {}),
        "its certificate is for another host name",
    ),
    "expired": (lambda kafka, _: (kafka.address("expired"), {}), "its certificate has expired"),
    "plaintext to TLS": (
        lambda kafka, _: (kafka.address("both"), {"security_protocol": "PLAINTEXT"}),
        "it speaks TLS on that port: REELSYNC_KAFKA__SECURITY_PROTOCOL must be SSL or SASL_SSL",
    ),
    "TLS to plaintext": (lambda kafka, _: (kafka.address("sasl"), {}), "it does not speak TLS on that port"),
    "login where none is": (lambda kafka, _: (kafka.address("tls"), {}), "it accepts no SASL login on that port"),
    "no login where one is": (
        lambda kafka, _: (kafka.address("both"), {"security_protocol": "SSL"}),
        "it requires a login on that port: REELSYNC_KAFKA__SECURITY_PROTOCOL must be SASL_SSL",
    ),
    "missing file": (
        lambda kafka, _: (kafka.address("both"), {"ssl_cafile": "/none.pem"}),
        "REELSYNC_KAFKA__SSL_CAFILE names /none.pem, which cannot be read",
    ),
    "key password": (
        lambda kafka, made: (
            kafka.address("mutual"),
            mutual_tls(kafka, made)[1] | {"ssl_keyfile_password": WRONG},
        ),
        "the key's password must be right",
    ),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_what_is_wrong_is_one_error_at_once(unsecured: Settings, kafka: TlsKafka, wrong: str) -> None:
    change, said = WRONGS[wrong]
    address, changed = change(kafka, kafka.certificates)
    given = variables(address, scram_over_tls(kafka, kafka.certificates)[1] | changed)
    kept = secrets_of(unsecured, kafka)
    assert_failed_check(run_command(unsecured, "check", "--json", **given, **CONSOLE), "brokers", said, kept)
    if wrong in AT_THE_START:
        assert_one_error(run_command(unsecured, "run", **given, **JSON), said, kept)


@pytest.mark.parametrize(
    "command", ["publish examples/lifecycle.jsonl", "lag", "offsets reset {topic} 0 --to earliest"]
)
@pytest.mark.parametrize("wrong", ["password"])
def test_other_commands_say_the_same(unsecured: Settings, kafka: TlsKafka, command: str, wrong: str) -> None:
    change, said = WRONGS[wrong]
    address, changed = change(kafka, kafka.certificates)
    given = variables(address, scram_over_tls(kafka, kafka.certificates)[1] | changed)
    words = command.format(topic=topic_of(unsecured, "video")).split()
    assert_one_error(run_command(unsecured, *words, **given, **JSON), said, secrets_of(unsecured, kafka))


@pytest.mark.parametrize("shown", [None, "client_of_other"])
def test_a_client_certificate_that_is_missing_or_refused_is_named(
    unsecured: Settings, kafka: TlsKafka, shown: str | None
) -> None:
    """With TLS 1.3 the refusal can be lost when the broker closes the connection: then `run` tries again."""
    _, security = tls_alone(kafka, kafka.certificates)
    if shown:
        pair = getattr(kafka.certificates, shown)
        security |= {"ssl_certfile": str(pair.certificate), "ssl_keyfile": str(pair.key)}
    done = run_command(unsecured, "run", **variables(kafka.address("mutual"), security), **CONSOLE)
    assert done.returncode == 1
    assert "client certificate" in done.stderr.splitlines()[-1]


async def test_a_running_consumer_says_that_its_password_was_changed_and_waits(
    unsecured: Settings, kafka: TlsKafka
) -> None:
    settings = secured(unsecured, *scram_over_tls(kafka, kafka.certificates))
    topic = topic_of(unsecured, "video")
    await publish(unsecured, topic, [(an_id(1).encode(), video("created", 1))])
    with capture_logs() as logged:
        async with consuming(settings):
            await until_applied(unsecured)
            right = kafka.password
            kafka.set_password(WRONG)
            kafka.restart()

            async def said_so() -> bool:
                failures = [entry["error"] for entry in logged if entry["event"] == "poll.failed"]
                return any("it refuses the user or the password" in failure for failure in failures)

            await eventually(said_so, "the consumer logged that the password is refused")
            kafka.set_password(right)
            await publish(unsecured, topic, [(an_id(2).encode(), video("created", 2))])
            await until_applied(unsecured)
    assert len(await rows_of(unsecured, "videos")) == 2
    assert not [secret for secret in secrets_of(unsecured, kafka) if secret in str(logged)]
