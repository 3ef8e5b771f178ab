"""`reelsync check`, and what `run` and `migrate` check at their start: each thing that is wrong is named."""

import asyncio
import json

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import UnavailableError
from reelsync.consumer.settings import Settings
from reelsync.migrations.runner import upgrade
from reelsync.testing.servers import DatabaseServer
from tests.support.processes import process, run_command
from tests.support.roles import TEST_SCHEMA
from tests.support.secrets_kept import SECRET


def test_check_says_what_is_wrong_and_how_to_mend_it(settings: Settings) -> None:
    assert run_command(settings, "check").returncode == 0
    done = run_command(settings, "check", "--json", REELSYNC_KAFKA__TOPICS='{"no-such-topic": "user"}')
    assert done.returncode == 1
    results = {result["check"]: result for result in json.loads(done.stdout)}
    assert [results[name]["ok"] for name in ("brokers", "database and schema")] == [True, True]
    assert "REELSYNC_KAFKA__TOPICS" in results["topics"]["message"]


async def test_a_database_that_takes_no_writes_fails_check_and_run_waits(
    settings: Settings, operator: AsyncConnection, operator_url: str
) -> None:
    name = make_url(operator_url).database
    said = "the database takes no writes: default_transaction_read_only is on"
    await operator.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    done = run_command(settings, "check")
    assert (done.returncode, said in done.stdout) == (1, True), done.stdout
    with process(settings, "-m", "reelsync.consumer", "run", REELSYNC_LOG__FORMAT="json") as running:
        line = next(line for line in running.stderr if "start.waiting" in line)
        assert said in line
    # A standby is one that may be promoted, and a database that only reads may be set to write again.
    await operator.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = off"))
    assert run_command(settings, "check").returncode == 0


async def test_a_database_that_goes_away_between_two_checks_is_waited_for(
    settings: Settings, operator: AsyncConnection, operator_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = settings.kafka.model_copy(update={"topics": settings.kafka.topics | {"no-such-topic": "user"}})
    consumer = Consumer(settings.model_copy(update={"kafka": hidden}))
    name = make_url(operator_url).database
    ask = consumer.kafka_log.cluster

    async def goes_away() -> tuple[str | None, dict[str, int]]:
        await operator.execute(text(f"ALTER DATABASE {name} CONNECTION LIMIT 0"))
        return await ask()

    monkeypatch.setattr(consumer.kafka_log, "cluster", goes_away)
    with pytest.raises(UnavailableError, match="too many connections"):
        await consumer.check()


@pytest.mark.parametrize("command", ["migrate", "check", "run"])
async def test_a_database_of_another_encoding_is_refused(
    settings: Settings, operator: AsyncConnection, postgres: DatabaseServer, command: str
) -> None:
    await operator.execute(text(f"CREATE DATABASE latin_{command} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
    url = postgres.url(f"latin_{command}")
    if command != "migrate":
        await upgrade(url, schema=TEST_SCHEMA)
    done = run_command(settings, command, REELSYNC_DATABASE__URL=url)
    assert done.returncode == 1, done.stderr
    assert "the database's encoding is LATIN1" in done.stdout + done.stderr
    postgres.drop_database(f"latin_{command}")


def test_check_names_a_server_that_does_not_answer_and_no_secret(settings: Settings) -> None:
    url = f"postgresql+asyncpg://u:{SECRET}@127.0.0.1:1/x"
    done = run_command(settings, "check", REELSYNC_DATABASE__URL=url, REELSYNC_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 1
    assert "is PostgreSQL up" in done.stdout
    assert "no broker answers at 127.0.0.1:1" in done.stdout
    assert "topics – not checked, because brokers could not be used" in done.stdout
    assert SECRET not in done.stdout + done.stderr


async def test_a_port_of_another_protocol_is_named(settings: Settings, broker) -> None:
    url = make_url(settings.database.url.get_secret_value())
    host, _, port = broker.bootstrap_servers.split(",")[0].rpartition(":")
    to_kafka = url.set(host=host, port=int(port)).render_as_string(hide_password=False)
    mistakes = {
        "Kafka answers there: see the port in REELSYNC_DATABASE__URL": {
            "REELSYNC_DATABASE__URL": to_kafka,
            "REELSYNC_DATABASE__CONNECT_TIMEOUT": "2",
        },
        "is not a broker: PostgreSQL answers there: see REELSYNC_KAFKA__BOOTSTRAP_SERVERS": {
            "REELSYNC_KAFKA__BOOTSTRAP_SERVERS": f"{url.host}:{url.port}"
        },
    }

    async def assert_named(command: str, exit_code: int, said: str, mistake: dict[str, str]) -> None:
        done = await asyncio.to_thread(run_command, settings, command, **mistake)
        assert (done.returncode, "Traceback" in done.stderr) == (exit_code, False), done.stderr
        assert said in done.stdout + done.stderr

    # Each waits for an answer that does not come, so they wait together.
    async with asyncio.TaskGroup() as group:
        for command, exit_code in {"run": 2, "check": 1}.items():
            for said, mistake in mistakes.items():
                group.create_task(assert_named(command, exit_code, said, mistake))


def test_a_name_that_is_not_found_is_said_so(settings: Settings) -> None:
    url = "postgresql://u:p@no-such-host.invalid/x"
    done = run_command(
        settings, "check", REELSYNC_DATABASE__URL=url, REELSYNC_KAFKA__BOOTSTRAP_SERVERS="no-such-broker.invalid:9092"
    )
    assert "name not found: see the host in REELSYNC_DATABASE__URL" in done.stdout
    assert "name not found: no-such-broker.invalid: see REELSYNC_KAFKA__BOOTSTRAP_SERVERS" in done.stdout


def test_check_warns_of_passwords_in_clear_text(settings: Settings) -> None:
    warned = {row["check"]: row["warning"] for row in json.loads(run_command(settings, "check", "--json").stdout)}
    assert "sslmode is prefer: a server without TLS gets the password" in warned["database and schema"]
    assert warned["brokers"] is None
    assert "! database and schema – sslmode is prefer" in run_command(settings, "check").stdout


def test_run_refuses_a_database_that_is_not_at_head(settings: Settings, postgres) -> None:
    postgres.create_database("empty_for_run")
    done = run_command(settings, "run", REELSYNC_DATABASE__URL=postgres.url("empty_for_run"))
    assert done.returncode == 1
    assert "run `reelsync migrate`" in done.stderr
    migrated = run_command(settings, "migrate", "--json", REELSYNC_DATABASE__URL=postgres.url("empty_for_run"))
    assert json.loads(migrated.stdout)["before"] is None
    assert run_command(settings, "check", REELSYNC_DATABASE__URL=postgres.url("empty_for_run")).returncode == 0
    postgres.drop_database("empty_for_run")
