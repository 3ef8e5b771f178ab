"""Logins to Apache Kafka that end: tokens, sessions that a broker limits, and passwords that change under load."""

import asyncio
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reelsync.consumer.app import Consumer
from reelsync.consumer.kafka.logins import Connection
from reelsync.consumer.settings import Settings
from tests.containers.tls_kafka import USER, TlsKafka, logged_in, tls_kafka
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.secrets_kept import CONSOLE, JSON, assert_failed_check, assert_one_error
from tests.support.token_endpoint import CLIENT

LONG = os.environ.get("FAULTS") == "long"
SECONDS, TOKEN_SECONDS = (600, 20) if LONG else (12, 4)
WRONG = "canary-secret-7b1d"
ROUND = 20


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsKafka]:
    with tls_kafka(tmp_path_factory.mktemp("certificates")) as started:
        yield started


@pytest.fixture
async def plain(database: str, kafka: TlsKafka) -> Settings:
    """Settings for the listener without a login, where tests prepare and look."""
    topics, group = await kafka.create_topics(), secrets.token_hex(4)
    connection = {"bootstrap_servers": kafka.address("plain"), "topics": topics, "group_id": group}
    return Settings.model_validate({"kafka": connection, "database": {"url": database}})


def with_token(kafka: TlsKafka) -> dict[str, str]:
    return {
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_endpoint_url": kafka.tokens.url,
        "sasl_oauth_client_id": CLIENT,
        "sasl_oauth_client_secret": kafka.tokens.secret,
        "sasl_oauth_scope": "topics",
    }


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often connections were opened, and logins renewed over them."""
    counted: Counter[str] = Counter()
    connect, log_in = Connection.connect, Connection._log_in

    async def counting_connect(self: Connection) -> object:
        counted["connected"] += 1
        return await connect(self)

    async def counting_log_in(self: Connection, secret: str) -> None:
        await log_in(self, secret)
        counted["renewed" if self._renewal else "first"] += 1

    monkeypatch.setattr(Connection, "connect", counting_connect)
    monkeypatch.setattr(Connection, "_log_in", counting_log_in)
    return counted


@asynccontextmanager
async def flow(plain: Settings) -> AsyncIterator[list[int]]:
    """Records all the time; the list has the numbers of those that were sent."""
    sent: list[int] = []
    over = asyncio.Event()

    async def send() -> None:
        while not over.is_set():
            numbers = range(len(sent), len(sent) + ROUND)
            await publish(plain, topic_of(plain, "video"), [(an_id(n).encode(), video("created", n)) for n in numbers])
            sent.extend(numbers)

    sending = asyncio.create_task(send())
    try:
        yield sent
    finally:
        over.set()
        await sending


async def assert_each_once(plain: Settings, consumer: Consumer, sent: list[int]) -> None:
    await until_applied(plain)
    assert len(await rows_of(plain, "videos")) == len(sent), "lost"
    assert consumer.metrics.events.total() == len(sent), "doubled"
    assert consumer.metrics.rebalances.total() == 1


@pytest.mark.timeout(SECONDS + 200)
async def test_tokens_end_again_and_again_and_no_request_fails(
    plain: Settings, kafka: TlsKafka, logins: Counter[str]
) -> None:
    kafka.tokens.token_seconds = TOKEN_SECONDS
    settings = logged_in(plain, kafka, "token", **with_token(kafka))
    with capture_logs() as logged:
        async with consuming(settings) as consumer:
            async with flow(plain) as sent:
                await until_applied(plain)
                started, opened, given = time.monotonic(), logins["connected"], kafka.tokens.given

                async def is_over() -> bool:
                    return time.monotonic() - started > SECONDS

                await eventually(is_over, "time passes", SECONDS + 60)
            await assert_each_once(plain, consumer, sent)
    kafka.tokens.token_seconds = 60
    sys.stdout.write(f"{len(sent)} records, {dict(logins)}, {kafka.tokens.given - given} tokens\n")
    assert logins["connected"] == opened
    assert logins["renewed"] >= 2 * (SECONDS // TOKEN_SECONDS)
    assert kafka.tokens.given - given >= SECONDS // TOKEN_SECONDS
    assert not [entry for entry in logged if entry["log_level"] in {"warning", "error"}]


async def test_a_token_endpoint_that_is_away_costs_nothing_while_the_token_lasts(
    plain: Settings, kafka: TlsKafka, logins: Counter[str]
) -> None:
    kafka.tokens.token_seconds = 20  # The rest after 85 % must be enough for a busy machine.
    settings = logged_in(plain, kafka, "token", **with_token(kafka))
    with capture_logs() as logged:
        async with consuming(settings) as consumer:
            async with flow(plain) as sent:
                await until_applied(plain)
                kafka.tokens.is_down = True

                async def noticed() -> bool:
                    return any(entry["event"] == "kafka.token_not_renewed" for entry in logged)

                await eventually(noticed, "the endpoint was asked in vain")
                kafka.tokens.is_down = False
                kafka.tokens.token_seconds = 60
                opened, given = logins["connected"], kafka.tokens.given

                async def renewed() -> bool:
                    return kafka.tokens.given > given

                await eventually(renewed, "there is a new token")
            await assert_each_once(plain, consumer, sent)
    assert logins["connected"] == opened


def variables(kafka: TlsKafka, **login: str) -> dict[str, str]:
    given = {"bootstrap_servers": kafka.address("token"), "security_protocol": "SASL_PLAINTEXT", **login}
    return {f"REELSYNC_KAFKA__{name.upper()}": value for name, value in given.items() if value}


WRONGS = {
    "secret": (
        {"sasl_oauth_client_secret": WRONG},
        "refuses the client (HTTP 401, invalid_client): see REELSYNC_KAFKA__SASL_OAUTH_CLIENT_ID and …SASL_",
    ),
    "scope": ({"sasl_oauth_scope": "none"}, "refuses the scope: see REELSYNC_KAFKA__SASL_OAUTH_SCOPE"),
    "unreachable": (
        {"sasl_oauth_token_endpoint_url": "http://127.0.0.1:1/token"},
        "does not answer (ClientConnectorError): is it up, and REELSYNC_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT_URL right?",
    ),
}


@pytest.mark.parametrize("wrong", WRONGS)
async def test_what_is_wrong_with_a_token_endpoint_is_one_sentence(
    plain: Settings, kafka: TlsKafka, wrong: str
) -> None:
    change, said = WRONGS[wrong]
    given, kept = variables(kafka, **with_token(kafka) | change), [kafka.tokens.secret, WRONG]
    assert_failed_check(run_command(plain, "check", "--json", **given, **CONSOLE), "brokers", said, kept)
    if wrong != "unreachable":  # `run` waits for what does not answer
        assert_one_error(run_command(plain, "run", **given, **JSON), said, kept)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-30, "s ago by this machine's clock: REELSYNC_KAFKA__SASL_PASSWORD_FILE must give a new one each time"),
        (600, "it refuses the token from REELSYNC_KAFKA__SASL_PASSWORD_FILE: see the clocks of both machines"),
    ],
)
async def test_a_token_that_the_broker_refuses_is_one_sentence(
    plain: Settings, kafka: TlsKafka, tmp_path: Path, seconds: int, said: str
) -> None:
    file, right = tmp_path / "token", kafka.tokens.audience
    kafka.tokens.audience = right if seconds < 0 else "others"
    file.write_text(kafka.tokens.token(seconds))
    kafka.tokens.audience = right
    given = variables(kafka, sasl_mechanism="OAUTHBEARER", sasl_password_file=str(file))
    kept = [file.read_text()]
    assert_failed_check(run_command(plain, "check", "--json", **given, **CONSOLE), "brokers", said, kept)
    assert_one_error(run_command(plain, "run", **given, **JSON), said, kept)


@pytest.mark.timeout(2 * SECONDS + 200)
async def test_a_password_that_is_changed_under_load_again_and_again_loses_nothing(
    plain: Settings, kafka: TlsKafka, logins: Counter[str], tmp_path: Path
) -> None:
    """The broker ends each login after two seconds, so that each password is used."""
    file, right = tmp_path / "password", kafka.password

    def change(password: str) -> None:
        kafka.set_password(password)
        (tmp_path / "next").write_text(f"{password}\n")
        (tmp_path / "next").rename(file)

    change(right)
    login = {"sasl_username": USER, "sasl_password_file": str(file)}
    started = time.monotonic()
    async with consuming(logged_in(plain, kafka, "brief", **login)) as consumer:
        async with flow(plain) as sent:
            await until_applied(plain)
            for number in range(SECONDS // 5):
                await asyncio.to_thread(change, f"canary-{number}-{secrets.token_urlsafe(8)}")
                before = logins["renewed"] + logins["first"]

                async def used(before: int = before) -> bool:
                    return logins["renewed"] + logins["first"] > before

                await eventually(used, "the new password was used")
                await until_applied(plain)
        await assert_each_once(plain, consumer, sent)
    kafka.set_password(right)
    passed = time.monotonic() - started
    sys.stdout.write(f"{SECONDS // 5} passwords in {passed:.0f} s, {len(sent)} records, {dict(logins)}\n")
