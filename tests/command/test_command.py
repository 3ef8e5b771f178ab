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
from tests.support.secrets_kept import SECRET


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
    for topics, code, why in (
        ('{"no-such-topic": "user"}', 1, "no-such-topic"),
        ("no JSON", 2, "REELSYNC_KAFKA__TOPICS: is not JSON"),
    ):
        done = run_command(settings, "run", REELSYNC_LOG__FORMAT="json", REELSYNC_KAFKA__TOPICS=topics)
        last = json.loads(done.stderr.splitlines()[-1])
        assert (done.returncode, last["event"], last["level"]) == (code, "consumer.halted", "error")
        assert why in last["why"]


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
    assert sum(row["position"] for row in positions) == 2


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
