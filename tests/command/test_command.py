"""The command, run as a user would: what it prints, where, and its exit codes."""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from reelsync.migrations.runner import upgrade
from reelsync.testing.servers import DatabaseServer
from tests.support.builders import an_id, user, video
from tests.support.processes import ROOT, process, run_command
from tests.support.running import consuming, publish, topic_of, until_applied

COMMANDS = (
    "run",
    "migrate",
    "check",
    "publish",
    "lag",
    "dlq list",
    "dlq show",
    "dlq redrive",
    "dlq discard",
    "dlq restore",
    "dlq export",
    "dlq import",
    "dlq purge",
    "offsets show",
    "offsets reset",
    "trace",
    "verify",
    "rebuild",
    "schema export",
    "schema check",
)
SECRET = "hunter2-do-not-print"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    done = run_command(None, *command.split(), "--help")
    assert done.returncode == 0
    assert re.search(rf"Example:[\s│]*.*reelsync {command}", done.stdout, re.DOTALL)


@pytest.mark.parametrize("module", ["demo", "benchmarks"])
def test_help_of_what_only_the_repository_has_shows_an_example(module: str) -> None:
    done = run_command(None, "--help", module=module)
    assert done.returncode == 0
    assert f"Example: python -m {module}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--version"], {}),
        (["--help"], {}),
        (["dlq", "--help"], {}),
        (["offsets", "--help"], {}),
        ([], {"_REELSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "reelsync dlq re", "COMP_CWORD": "2"}),
    ],
)
def test_what_says_what_there_is_imports_no_library(arguments: list[str], variables: dict[str, str]) -> None:
    program = """
import sys
from reelsync.consumer.cli import main
sys.argv = ["reelsync", *sys.argv[1:]]
try:
    main()
finally:
    # Pydantic is not among them: Typer itself imports it for the options of a group.
    heavy = {"aiohttp", "aiokafka", "asyncpg", "rich", "sqlalchemy", "structlog"}
    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n"), done.stderr
    assert done.stdout


def test_completion_knows_the_commands() -> None:
    asked = {"_REELSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "reelsync dlq re", "COMP_CWORD": "2"}
    # Of the package, not of `-m consumer`: completion is for the name of the program.
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['reelsync']; from reelsync.consumer.cli import main; main()"],
        env=os.environ | asked,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["redrive", "restore"]


def test_help_lists_every_command_with_its_first_sentence() -> None:
    listed = run_command(None, "--help").stdout
    assert [
        name for name in {name.split()[0] for name in COMMANDS} if not re.search(rf"^  {name} ", listed, re.MULTILINE)
    ] == []
    assert re.search(r"^  run +Consume events until SIGTERM or SIGINT$", listed, re.MULTILINE)
    assert " worker" not in listed
    assert run_command(None, "--version").stdout == f"reelsync {version('reelsync')}\n"
    refused = run_command(None, "laag")
    assert (refused.returncode, "No such command 'laag'" in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("command", ["run", "migrate", "check", "lag", "dlq list", "offsets show", "verify", "rebuild"])
def test_a_missing_setting_is_named_with_an_example_and_exit_code_2(command: str) -> None:
    done = run_command(None, *command.split())
    assert done.returncode == 2
    assert "REELSYNC_DATABASE__URL: is not set. For example: postgresql+asyncpg://" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("REELSYNC_DATABASE__URL", f"mysql://root:{SECRET}@db/x", "REELSYNC_DATABASE__URL: must have the form"),
        ("REELSYNC_KAFKA__TOPICS", "not json", "REELSYNC_KAFKA__TOPICS: is not JSON, such as {"),
        ("REELSYNC_KAFKA__TOPICS", "[]", "REELSYNC_KAFKA__TOPICS: is not a JSON object, such as {"),
        (
            "REELSYNC_KAFKA__SASL_USERNAME",
            "u",
            "error: the settings are not right.\n  REELSYNC_KAFKA__SASL_USERNAME is set",
        ),
        ("REELSYNC_KAFKA__TOPICS", '{"t": "usr"}', "REELSYNC_KAFKA__TOPICS, topic t: "),
        (
            "REELSYNC_KAFKA__TOPICS",
            '{"t": {"format": "debezium", "aggregate": "user"}}',
            "REELSYNC_KAFKA__TOPICS, topic t, version: is missing: see docs/debezium.md",
        ),
        ("REELSYNC_BATCH__MAX_RECORDS", "0", "REELSYNC_BATCH__MAX_RECORDS: Input should be greater than or equal to 1"),
        ("REELSYNC_KAFKA__NO_SUCH", "1", "REELSYNC_KAFKA__NO_SUCH: is not a setting"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(variable: str, value: str, said: str) -> None:
    url = {"REELSYNC_DATABASE__URL": f"postgresql+asyncpg://u:{SECRET}@localhost/x"}
    done = run_command(None, "run", **(url | {variable: value}))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert SECRET not in done.stderr + done.stdout


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


@pytest.mark.parametrize("command", ["migrate", "check", "run"])
async def test_a_database_of_another_encoding_is_refused(
    settings: Settings, operator: AsyncConnection, postgres: DatabaseServer, command: str
) -> None:
    await operator.execute(text(f"CREATE DATABASE latin_{command} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
    url = postgres.url(f"latin_{command}")
    if command != "migrate":
        await upgrade(url)
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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf_8_gets_what_it_can_show(settings: Settings, encoding: str) -> None:
    topics = json.dumps({"日本": "video"})
    for command in (["check"], ["check", "--json"], ["lag"], ["offsets", "show"]):
        done = run_command(settings, *command, PYTHONIOENCODING=encoding, REELSYNC_KAFKA__TOPICS=topics)
        assert "Traceback" not in done.stderr, command


def test_a_wrong_password_is_an_error_at_once(settings: Settings) -> None:
    url = re.sub(r"//(\w+):[^@]+@", rf"//\1:{SECRET}@", settings.database.url.get_secret_value())
    done = run_command(settings, "run", REELSYNC_DATABASE__URL=url)
    assert done.returncode == 1
    assert "the user or the password is refused" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_gets_the_error_in_its_own_form(settings: Settings) -> None:
    done = run_command(settings, "offsets", "reset", "no-such-topic", "--to", "earliest", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (2, {"error": "there is no topic no-such-topic"})
    done = run_command(settings, "lag", "--json", REELSYNC_KAFKA__TOPICS='{"no-such-topic": "user"}')
    assert done.returncode == 1
    assert "no-such-topic" in json.loads(done.stdout)["error"]
    topics = {"REELSYNC_KAFKA__TOPICS": '{"no-such-topic": "user"}'}
    done = run_command(settings, "run", REELSYNC_LOG__FORMAT="json", **topics)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, last["event"], last["level"]) == (1, "consumer.halted", "error")
    assert "no-such-topic" in last["why"]


def test_run_refuses_a_database_that_is_not_at_head(settings: Settings, postgres) -> None:
    postgres.create_database("empty_for_run")
    done = run_command(settings, "run", REELSYNC_DATABASE__URL=postgres.url("empty_for_run"))
    assert done.returncode == 1
    assert "run `reelsync migrate`" in done.stderr
    migrated = run_command(settings, "migrate", "--json", REELSYNC_DATABASE__URL=postgres.url("empty_for_run"))
    assert json.loads(migrated.stdout)["before"] is None
    assert run_command(settings, "check", REELSYNC_DATABASE__URL=postgres.url("empty_for_run")).returncode == 0
    postgres.drop_database("empty_for_run")


async def test_publish_sends_the_valid_lines_and_names_the_others(settings: Settings, tmp_path: Path) -> None:
    lines = [video("created", 1), b"garbage", user("created", 1), video("progressed", 2, progress=101), b""]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(lines))
    done = run_command(settings, "publish", str(file), "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["published"], report["invalid"]) == (2, 2)
    assert [problem.split(":")[0] for problem in report["problems"]] == ["line 2", "line 4"]
    assert "data.progress" in report["problems"][1]
    async with consuming(settings):
        await until_applied(settings)
    lag = json.loads(run_command(settings, "lag", "--json").stdout)
    assert sum(row["lag"] for row in lag) == 0

    assert sum(row["end"] for row in lag) == 2
    positions = json.loads(run_command(settings, "offsets", "show", "--json").stdout)
    assert sum(row["next_offset"] for row in positions) == 2


async def test_a_file_that_cannot_be_read_is_not_blamed_on_the_brokers(settings: Settings) -> None:
    """A process's memory can be opened, and fails when its first page is read."""
    done = run_command(settings, "publish", "/proc/self/mem")
    assert done.returncode == 1
    assert "/proc/self/mem cannot be read to its end (Input/output error)" in done.stderr
    assert "brokers" not in done.stderr


async def test_publish_sends_nothing_to_a_topic_that_debezium_fills(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(video("created"))
    captured = {"format": "debezium", "aggregate": "video", "version": "source.lsn"}
    told = json.dumps({topic_of(settings, "video"): captured, topic_of(settings, "user"): "user"})
    done = run_command(settings, "publish", str(file), "--json", REELSYNC_KAFKA__TOPICS=told)
    assert json.loads(done.stdout)["problems"] == ["line 1: no topic of REELSYNC_KAFKA__TOPICS is for video events"]


async def test_dlq_shows_the_record_byte_for_byte(settings: Settings) -> None:
    poison = b"\xff\x1b[31mnot json\x00"
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), poison)])
    async with consuming(settings):
        await until_applied(settings)
    listed = json.loads(run_command(settings, "dlq", "list", "--json").stdout)
    assert [(row["reason"], row["aggregate_id"]) for row in listed] == [("not_json", an_id(1))]
    place = f"{listed[0]['topic']}/{listed[0]['partition']}/{listed[0]['offset']}"
    shown = json.loads(run_command(settings, "dlq", "show", place, "--json").stdout)
    assert base64.b64decode(shown[0]["value_base64"]) == poison
    for_people = run_command(settings, "dlq", "show", place)
    assert "\x1b[31m" not in for_people.stdout
    assert "correct the publisher's serializer" in for_people.stdout


def test_a_letter_that_is_not_there_is_said_so(settings: Settings) -> None:
    done = run_command(settings, "dlq", "show", "video-events/0/1")
    assert (done.returncode, "there is no dead letter at video-events/0/1" in done.stderr) == (1, True)
    assert run_command(settings, "dlq", "show", "video-events").returncode == 2
