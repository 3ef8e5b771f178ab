"""Settings: their names in the environment, their defaults, and secrets that never show."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from docs.settings_table import settings_table
from reelsync.consumer.settings import DEFAULT_TOPICS, BrokerSettings, Settings
from reelsync.models.database_url import for_asyncpg
from tests.support.secrets_kept import URL

pytestmark = pytest.mark.usefixtures("bare_environment")
SECTIONS: dict[str, Any] = {name: field.annotation for name, field in Settings.model_fields.items()}


def read(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings.get_secret_value() if isinstance(settings, SecretStr) else settings


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("KAFKA__BOOTSTRAP_SERVERS", "a:1,b:2", "kafka.bootstrap_servers", "a:1,b:2"),
        ("KAFKA__GROUP_ID", "another", "kafka.group_id", "another"),
        ("KAFKA__TOPICS", '{"t": "user"}', "kafka.topics", {"t": "user"}),
        ("KAFKA__SECURITY_PROTOCOL", "SSL", "kafka.security_protocol", "SSL"),
        ("DATABASE__URL", URL + "2", "database.url", URL + "2"),
        ("DATABASE__POOL_SIZE", "7", "database.pool_size", 7),
        ("DATABASE__MAX_OVERFLOW", "0", "database.max_overflow", 0),
        ("DATABASE__POOL_TIMEOUT", "1.5", "database.pool_timeout", 1.5),
        ("DATABASE__POOL_RECYCLE", "60", "database.pool_recycle", 60),
        ("DATABASE__STATEMENT_TIMEOUT", "2", "database.statement_timeout", 2.0),
        ("BATCH__MAX_RECORDS", "7", "batch.max_records", 7),
        ("BATCH__MAX_BYTES", "8", "batch.max_bytes", 8),
        ("BATCH__LINGER_MS", "0", "batch.linger_ms", 0),
        ("BATCH__VIDEO_STATES", "true", "batch.video_states", True),
        ("DEAD_LETTERS__MAX_COUNT", "3", "dead_letters.max_count", 3),
        ("LOG__FORMAT", "json", "log.format", "json"),
        ("LOG__LEVEL", "DEBUG", "log.level", "DEBUG"),
    ],
)
def test_a_setting_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, path: str, value: Any
) -> None:
    monkeypatch.setenv(f"REELSYNC_{variable}", text)
    assert read(Settings(), path) == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kafka.group_id", "reelsync"),
        ("kafka.topics", {"video-events": "video", "user-events": "user", "model-usage-events": "model_usage"}),
        ("kafka.start_from", "earliest"),
        ("kafka.sasl_password", None),
        ("kafka.ssl_keyfile_password", None),
        ("database.pool_size", 20),
        ("database.max_overflow", 30),
        ("database.pool_timeout", 30.0),
        ("database.pool_recycle", 3600),
        ("batch.max_records", 15_000),
        ("batch.max_rows", 5_000),
        ("batch.video_states", False),
        ("log.format", "console"),
    ],
)
def test_a_setting_left_out_has_the_default_that_is_promised(path: str, value: Any) -> None:
    assert read(Settings(), path) == value


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql", "postgres"])
@pytest.mark.parametrize("end", ["", "\n", " \r\n"])
def test_a_url_as_psql_takes_it_is_taken(monkeypatch: pytest.MonkeyPatch, scheme: str, end: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__URL", URL.replace("postgresql+asyncpg", scheme) + end)
    address, _ = for_asyncpg(Settings().database.url.get_secret_value())
    assert address.render_as_string(hide_password=False) == URL


def test_the_database_has_no_default_and_the_broker_s_commands_do_not_ask_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REELSYNC_DATABASE__URL")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [problem["loc"] for problem in caught.value.errors()] == [("database",)]
    assert BrokerSettings().kafka.topics == DEFAULT_TOPICS


def test_a_database_section_without_url_is_told_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELSYNC_DATABASE__URL")
    monkeypatch.setenv("REELSYNC_DATABASE__POOL_SIZE", "3")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [problem["loc"] for problem in caught.value.errors()] == [("database", "url")]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:canary-7c1e@h/d",
        "postgresql+psycopg://u:canary-7c1e@h/d",
        "sqlite+aiosqlite://",
        "canary-7c1e",
        "",
        "postgresql+asyncpg",
    ],
)
def test_a_url_for_another_driver_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__URL", url)
    with pytest.raises(ValidationError, match=r"postgresql\+asyncpg://") as caught:
        Settings()
    assert "canary-7c1e" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("KAFKA__TOPICS", '{"t": "film"}'),
        ("KAFKA__TOPICS", "{}"),
        ("KAFKA__GROUP_ID", ""),
        ("KAFKA__SECURITY_PROTOCOL", "TLS"),
        ("DATABASE__POOL_SIZE", "0"),
        ("BATCH__MAX_RECORDS", "0"),
        ("DEAD_LETTERS__MAX_SHARE", "1.5"),
        ("LOG__FORMAT", "xml"),
    ],
)
def test_a_value_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    monkeypatch.setenv(f"REELSYNC_{variable}", text)
    with pytest.raises(ValidationError):
        Settings()


def test_no_secret_shows_in_any_form(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SASL_PASSWORD", "SSL_KEYFILE_PASSWORD"):
        monkeypatch.setenv(f"REELSYNC_KAFKA__{name}", "canary-7c1e")
    monkeypatch.setenv("REELSYNC_KAFKA__SASL_USERNAME", "u")
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    settings = Settings()
    shown = [
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.model_dump()),
        repr(settings.kafka),
    ]
    assert "canary-7c1e" not in "".join(shown)
    assert settings.database.url.get_secret_value() == URL


def test_everything_that_holds_a_password_is_secret_and_has_no_default() -> None:
    for section in SECTIONS.values():
        if issubclass(section, BaseModel):
            for name, field in section.model_fields.items():
                # What ends in _file or _provider says where a password comes from.
                if ("password" in name or "secret" in name or name == "url") and not name.endswith(
                    ("_file", "_provider")
                ):
                    assert SecretStr in (field.annotation, *get_args(field.annotation)), name
                    assert field.is_required() or field.default is None, name


def test_the_table_of_settings_has_a_row_for_each_and_no_secret() -> None:
    rows = settings_table().splitlines()[2:]
    assert len(rows) == sum(len(section.model_fields) for section in SECTIONS.values())
    assert "| `REELSYNC_DATABASE__URL` | required |" in settings_table()
    assert all(row.count("|") == 4 and "None" not in row for row in rows)


@pytest.mark.parametrize("name", ["Bad", "a b", 'a"b', "1a", "a" * 64, ""])
def test_a_schema_has_a_plain_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__SCHEMA", "user_1")
    assert Settings().database.schema_name == "user_1"
    monkeypatch.setenv("REELSYNC_DATABASE__SCHEMA", name)
    with pytest.raises(ValidationError, match="must be a name of a-z"):
        Settings()


@pytest.mark.parametrize(
    "query", ["?sslrootcrt=/ca.pem", "?canary=1", "?sslmode=verify_full", "?sslrootcert=system&sslmode=require"]
)
def test_a_query_that_is_not_understood_is_refused_and_not_quoted(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__URL", URL + query)
    with pytest.raises(ValidationError, match="sslmode") as refused:
        Settings()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SASL_MECHANISM", "PLAIN"),
        ("SASL_USERNAME", "u"),
        ("SASL_PASSWORD", "p"),
        ("SSL_CAFILE", "/ca.pem"),
        ("SSL_CERTFILE", "/c.pem"),
    ],
)
def test_a_setting_of_a_secure_connection_is_read_with_its_protocol_and_refused_without(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    for name, value in {"SASL_USERNAME": "u", "SASL_PASSWORD": "p", variable: text}.items():
        monkeypatch.setenv(f"REELSYNC_KAFKA__{name}", value)
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    assert read(BrokerSettings(), f"kafka.{variable.lower()}") == text
    for name in {"SASL_USERNAME", "SASL_PASSWORD", "SECURITY_PROTOCOL"} - {variable}:
        monkeypatch.delenv(f"REELSYNC_KAFKA__{name}")
    with pytest.raises(ValidationError, match=f"REELSYNC_KAFKA__{variable} is set, and REELSYNC_KAFKA__SECURITY_PROTO"):
        BrokerSettings()
