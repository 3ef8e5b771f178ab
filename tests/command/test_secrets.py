"""No command shows a secret, or a part of one, in whatever setting it stands and however wrong that setting is."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reelsync.consumer import cli
from reelsync.consumer.backoff import Backoff
from reelsync.consumer.settings import Settings
from reelsync.consumer.settings.variables import settings_by_variable
from tests.support.secrets_kept import CONSOLE, JSON

SECRET = "hunter2"
NOBODY = "127.0.0.1:1"
PLACE = "video-events/0/1"
COMMANDS = (
    ("run", "--no-live"),
    ("migrate",),
    ("check",),
    ("check", "--json"),
    ("publish", "/dev/null"),
    ("lag",),
    ("trace", "01944b2d-0a00-7b01-9d11-1122334455a1"),
    ("verify",),
    ("rebuild",),
    ("rebuild", "--discard"),
    ("offsets", "show"),
    ("offsets", "reset", "--all", "--to", "earliest"),
    ("dlq", "list"),
    ("dlq", "list", "--count"),
    ("dlq", "show", PLACE),
    ("dlq", "redrive", "--all"),
    ("dlq", "redrive", "--all", "--dry-run"),
    ("dlq", "discard", PLACE, "--because", "test"),
    ("dlq", "restore", PLACE),
    ("dlq", "export"),
    ("dlq", "import", "/dev/null"),
    ("dlq", "purge", "--older-than", "90d"),
)
SHOWN = {
    "REELSYNC_DATABASE__PASSWORD_FILE",
    "REELSYNC_DATABASE__SCHEMA",
    "REELSYNC_KAFKA__CLIENT_RACK",
    "REELSYNC_KAFKA__GROUP_ID",
    "REELSYNC_KAFKA__SASL_USERNAME",
    "REELSYNC_KAFKA__SSL_CAFILE",
    "REELSYNC_KAFKA__SSL_CERTFILE",
    "REELSYNC_KAFKA__SSL_KEYFILE",
    "REELSYNC_DEAD_LETTERS__RELAY_TOPIC",
    "REELSYNC_HTTP__ALLOWED_HOSTS",
    "REELSYNC_HTTP__HOST",
    "REELSYNC_KAFKA__BOOTSTRAP_SERVERS",
}
"""Names of things, which messages quote; a name that holds a password is refused before that."""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process, with the settings given, and returns its exit code and all that it wrote."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("REELSYNC_")]:
        monkeypatch.delenv(name)
    # `run` waits for servers that are not there: it is stopped when it begins to.
    monkeypatch.setattr(Backoff, "next_delay", lambda _: os.kill(os.getpid(), signal.SIGTERM) or 60.0)

    def run(arguments: tuple[str, ...], given: dict[str, str]) -> tuple[int, str]:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["reelsync", *arguments])
            for name, value in {
                "REELSYNC_KAFKA__BOOTSTRAP_SERVERS": NOBODY,
                "REELSYNC_HTTP__PORT": "0",
                **given,
            }.items():
                patch.setenv(name, value)
            try:
                cli.main()
            except SystemExit as end:
                code = end.code
            else:
                code = 0
            finally:
                logging.getLogger().handlers.clear()
                structlog.reset_defaults()
        written = capfd.readouterr()
        return code, written.out + written.err

    return run


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("log", [CONSOLE, JSON], ids=["console", "json"])
def test_secrets_that_are_well_formed_do_not_show(
    command: Run, arguments: tuple[str, ...], log: dict[str, str]
) -> None:
    code, written = command(
        arguments,
        log
        | {
            "REELSYNC_DATABASE__URL": f"postgresql://u:{SECRET}@{NOBODY}/d?sslpassword={SECRET}",
            "REELSYNC_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "REELSYNC_KAFKA__SASL_USERNAME": "u",
            "REELSYNC_KAFKA__SASL_PASSWORD": SECRET,
            "REELSYNC_KAFKA__SSL_KEYFILE_PASSWORD": SECRET,
        },
    )
    assert (code, NOBODY in written) == (0 if arguments[0] == "run" else 1, True), written
    assert SECRET not in written
    assert "Traceback" not in written


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+asyncpg://u:p@ss:{SECRET}/o@h/d",
        f"postgresql+asyncpg://u:a@{SECRET}@h/d",
        f"postgresql+asyncpg://u:{SECRET}",
        f"{SECRET}://u@h/d",
        f"postgresql://u@h/d?{SECRET}=1",
    ],
)
def test_a_url_that_cannot_be_parsed_does_not_show(command: Run, arguments: tuple[str, ...], url: str) -> None:
    code, written = command(arguments, {"REELSYNC_DATABASE__URL": url})
    if arguments[0] == "publish":  # It needs no database.
        assert code == 1
    else:
        assert (code, "REELSYNC_DATABASE__URL: " in written) == (2, True), written
    assert SECRET not in written


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    arguments=st.sampled_from(COMMANDS),
    before=st.text("@:/?#[]%&=+, \n", max_size=3),
    after=st.text("@:/?#[]%&=+, \n", max_size=3),
    form=st.sampled_from(["u:{}@" + NOBODY + "/d", "u:{}@" + NOBODY, "u{}:p@" + NOBODY + "/d?sslmode=disable"]),
)
@example(arguments=("lag",), before="@", after="", form="u:{}@" + NOBODY + "/d")
def test_a_password_with_any_characters_does_not_show(
    command: Run, arguments: tuple[str, ...], before: str, after: str, form: str
) -> None:
    url = "postgresql+asyncpg://" + form.format(f"{before}{SECRET}{after}")
    _, written = command(arguments, {"REELSYNC_DATABASE__URL": url})
    assert SECRET not in written, url
    assert "Traceback" not in written


@pytest.mark.parametrize("variable", sorted(settings_by_variable(Settings).keys() - SHOWN))
def test_a_secret_in_the_wrong_setting_does_not_show(command: Run, variable: str) -> None:
    given_url = {"REELSYNC_DATABASE__URL": f"postgresql://u:p@{NOBODY}/d"}
    code, written = command(("lag",), given_url | {variable: SECRET})
    assert (code, variable in written) == (2, True), written
    assert SECRET not in written


@pytest.mark.parametrize("servers", [f"u:{SECRET}@h:9092", f"kafka://u:{SECRET}@h", f"h:{SECRET}", f"h:9092/{SECRET}"])
def test_a_secret_among_the_brokers_does_not_show(command: Run, servers: str) -> None:
    code, written = command(("publish", "/dev/null"), {"REELSYNC_KAFKA__BOOTSTRAP_SERVERS": servers})
    assert (code, "REELSYNC_KAFKA__BOOTSTRAP_SERVERS: " in written) == (2, True), written
    assert SECRET not in written


@pytest.mark.parametrize(
    "content", [f"{SECRET}\n", f"REELSYNC_{SECRET}\n", f"A=1\nREELSYNC_X={SECRET}\n", f"'{SECRET}"]
)
def test_a_secret_in_a_broken_file_does_not_show(command: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / ".env").write_text(content)
    code, written = command(("lag",), {})
    assert (code, ".env" in written) == (2, True), written
    assert SECRET not in written
