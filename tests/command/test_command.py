"""The command, run as a user would: what it prints, where, and its exit codes."""

import base64
import json
import re
from pathlib import Path

import pytest

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, user, video
from tests.support.processes import run_command
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
        ("REELSYNC_KAFKA__TOPICS", "not json", "REELSYNC_KAFKA__TOPICS must be JSON"),
        ("REELSYNC_KAFKA__TOPICS", '{"t": "usr"}', "REELSYNC_KAFKA__TOPICS, topic t: "),
        (
            "REELSYNC_KAFKA__TOPICS",
            '{"t": {"format": "debezium", "aggregate": "user"}}',
            "REELSYNC_KAFKA__TOPICS, topic t, version: is missing: see docs/debezium.md",
        ),
        ("REELSYNC_BATCH__MAX_RECORDS", "0", "REELSYNC_BATCH__MAX_RECORDS: Input should be greater than or equal to 1"),
        ("REELSYNC_KAFKA__NO_SUCH", "1", "REELSYNC_KAFKA__NO_SUCH"),
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


def test_check_names_a_server_that_does_not_answer_and_no_secret(settings: Settings) -> None:
    url = f"postgresql+asyncpg://u:{SECRET}@127.0.0.1:1/x"
    done = run_command(settings, "check", REELSYNC_DATABASE__URL=url, REELSYNC_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 1
    assert "is PostgreSQL up" in done.stdout
    assert "no broker answers at 127.0.0.1:1" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_wrong_password_is_an_error_at_once(settings: Settings) -> None:
    url = re.sub(r"//(\w+):[^@]+@", rf"//\1:{SECRET}@", settings.database.url.get_secret_value())
    done = run_command(settings, "run", REELSYNC_DATABASE__URL=url)
    assert done.returncode == 1
    assert "the user or the password is refused" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


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
    assert "look at the publisher's serializer" in for_people.stdout


def test_a_letter_that_is_not_there_is_said_so(settings: Settings) -> None:
    done = run_command(settings, "dlq", "show", "video-events/0/1")
    assert (done.returncode, "there is no dead letter at video-events/0/1" in done.stderr) == (1, True)
    assert run_command(settings, "dlq", "show", "video-events").returncode == 2
