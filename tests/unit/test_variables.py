"""Which variables and which files named `.env` are taken, and what is said of the others."""

from pathlib import Path

import pytest

from reelsync.consumer.settings import BrokerSettings, Settings
from reelsync.consumer.settings.variables import VariablesError

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_a_file_named_env_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("REELSYNC_KAFKA__GROUP_ID=of-file\nREELSYNC_LOG__LEVEL=ERROR\nOTHER=1\n")
    monkeypatch.setenv("REELSYNC_LOG__LEVEL", "WARNING")
    settings = Settings()
    assert (settings.kafka.group_id, settings.log.level) == ("of-file", "WARNING")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("REELSYNC_KAFKA_GROUP_ID", "REELSYNC_KAFKA__GROUP_ID"),
        ("REELSYNC_KAFKA__GROUPID", "REELSYNC_KAFKA__GROUP_ID"),
        ("REELSYNC_KAFAK__TOPICS", "REELSYNC_KAFKA__TOPICS"),
        ("REELSYNC_HTTP_PORT", "REELSYNC_HTTP__PORT"),
        ("reelsync_log__levle", "REELSYNC_LOG__LEVEL"),
        ("REELSYNC_DATABASE_URL", "REELSYNC_DATABASE__URL"),
        ("REELSYNC_QQQ", "table of all settings"),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("settings", [Settings, BrokerSettings])
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, near: str, in_file: bool, settings: type[BrokerSettings]
) -> None:
    if in_file:
        (tmp_path / ".env").write_text(f"{name}=canary-7c1e\n")
    else:
        monkeypatch.setenv(name, "canary-7c1e")
    with pytest.raises(VariablesError, match=f"^{r'.env: ' * in_file}{name}: is not a setting: .*{near}") as refused:
        settings()
    assert "canary-7c1e" not in str(refused.value)


@pytest.mark.parametrize("service", ["REELSYNC", "REELSYNC_HTTP", "REELSYNC_KAFKA"])
def test_what_kubernetes_sets_for_a_service_of_our_name_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    # As in a pod beside `kind: Service, metadata: {name: reelsync}` with a port named http.
    for name, value in {
        "SERVICE_HOST": "10.96.0.12",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "PORT": "tcp://10.96.0.12:8080",
        "PORT_8080_TCP": "tcp://10.96.0.12:8080",
        "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_ADDR": "10.96.0.12",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", value)
    assert Settings().http.port == 8080


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"REELSYNC_KAFKA__GROUP_ID=caf\xe9\n", r"\.env: is not text in UTF-8"),
        ("REELSYNC_KAFKA__GROUP_ID=a\n".encode("utf-16"), r"\.env: is not text in UTF-8"),
        (b"A=1\nhello world\nmore of it\n", r"\.env, line 2 \(and 1 more\): is not of the form NAME=value"),
        (b"canary-7c1e\n", r"\.env, line 1: is not of the form NAME=value"),
        (b"REELSYNC_KAFKA__SSL_CAFILE=a\0b\n", r"\.env, line 1: is not of the form NAME=value"),
        (None, r"\.env: cannot be read \(Is a directory\)"),
    ],
)
def test_a_file_named_env_that_is_none_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    if content is None:
        (tmp_path / ".env").mkdir()
    else:
        (tmp_path / ".env").write_bytes(content)
    with pytest.raises(VariablesError, match=said) as refused:
        Settings()
    assert "canary-7c1e" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_named_env_may_begin_with_the_mark_of_utf_8(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfREELSYNC_KAFKA__GROUP_ID=of-file\n")
    assert Settings().kafka.group_id == "of-file"
