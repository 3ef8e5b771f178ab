"""Settings: their names in the environment, their defaults, and secrets that never show."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from docs.settings_table import settings_table
from reelsync.consumer.settings import DEFAULT_TOPICS, BrokerSettings, KafkaSettings, Settings
from reelsync.consumer.variables import VariablesError
from reelsync.events.debezium import RowChangeTopic
from reelsync.models.database_url import for_asyncpg

URL = "postgresql+asyncpg://writer:canary-7c1e@db.example.com:5432/reelsync"
SECTIONS: dict[str, Any] = {name: field.annotation for name, field in Settings.model_fields.items()}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the one that is required, and no `.env` in reach."""
    for name in [name for name in os.environ if name.upper().startswith("REELSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REELSYNC_DATABASE__URL", URL)


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
        ("log.format", "console"),
    ],
)
def test_a_setting_left_out_has_the_default_that_is_promised(path: str, value: Any) -> None:
    assert read(Settings(), path) == value


def test_a_file_named_env_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("REELSYNC_KAFKA__GROUP_ID=of-file\nREELSYNC_LOG__LEVEL=ERROR\nOTHER=1\n")
    monkeypatch.setenv("REELSYNC_LOG__LEVEL", "WARNING")
    settings = Settings()
    assert (settings.kafka.group_id, settings.log.level) == ("of-file", "WARNING")


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql", "postgres"])
@pytest.mark.parametrize("end", ["", "\n", " \r\n"])
def test_a_url_as_psql_takes_it_is_taken(monkeypatch: pytest.MonkeyPatch, scheme: str, end: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__URL", URL.replace("postgresql+asyncpg", scheme) + end)
    address, _ = for_asyncpg(Settings().database.url.get_secret_value())
    assert address.render_as_string(hide_password=False) == URL


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("kafka://u:canary-7c1e@h:9092", "address 1 has a scheme"),
        ("a:9092,u:canary-7c1e@h:9092", "address 2 has an @"),
        ("h:abc", "not a number from 1 to 65,535"),
        ("h:99999", "not a number from 1 to 65,535"),
        ("h:", "not a number from 1 to 65,535"),
        ("a:9092,", "address 2 is not of the form host:port"),
        ("h 1:9092", "is not of the form host:port"),
        ("", "is not of the form host:port"),
    ],
)
def test_brokers_that_are_no_addresses_are_refused_and_not_quoted(servers: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        KafkaSettings(bootstrap_servers=servers)
    assert "canary-7c1e" not in str(refused.value)


@pytest.mark.parametrize(
    ("servers", "read_as"),
    [(" a:1, b ", "a:1,b:9092"), ("[::1]:9093", "[::1]:9093"), ("my_kafka:9092", "my_kafka:9092")],
)
def test_brokers_are_addresses(servers: str, read_as: str) -> None:
    assert KafkaSettings(bootstrap_servers=servers).bootstrap_servers == read_as


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


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_login_needs_a_user_and_a_password(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("REELSYNC_KAFKA__SASL_USERNAME", "u")
    with pytest.raises(ValidationError, match=f"{protocol} needs REELSYNC_KAFKA__SASL_USERNAME and …SASL_PASSWORD"):
        Settings()
    monkeypatch.setenv("REELSYNC_KAFKA__SASL_PASSWORD", "p")
    assert Settings().kafka.security_protocol == protocol


@pytest.mark.parametrize("name", ["Bad", "a b", 'a"b', "1a", "a" * 64, ""])
def test_a_schema_has_a_plain_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__SCHEMA", "user_1")
    assert Settings().database.schema_name == "user_1"
    monkeypatch.setenv("REELSYNC_DATABASE__SCHEMA", name)
    with pytest.raises(ValidationError, match="must be a name of a-z"):
        Settings()


TOKENS = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_oauth_token_endpoint_url": "https://login.example.com/token",
    "sasl_oauth_client_id": "c",
    "sasl_oauth_client_secret": "canary",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sasl_oauth_token_endpoint_url": None}, "OAUTHBEARER needs one of"),
        ({"sasl_password_provider": "m:f"}, "OAUTHBEARER needs one of"),
        ({"sasl_password": "canary"}, "OAUTHBEARER needs one of"),
        ({"sasl_oauth_extensions": "logicalCluster"}, "sasl_oauth_extensions"),
        ({"sasl_oauth_client_id": None}, "needs …SASL_OAUTH_CLIENT_ID"),
        ({"sasl_oauth_client_secret_file": "f"}, "one of …SASL_OAUTH_CLIENT_SECRET and"),
        ({"sasl_oauth_token_endpoint_url": "login.example.com"}, "must have the form https://host/path"),
        ({"sasl_oauth_token_endpoint_url": "https://u:canary@h/token"}, "must have the form https://host/path"),
        (
            {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p"},
            "SASL_MECHANISM is PLAIN, which does not use it: make the mechanism OAUTHBEARER",
        ),
    ],
)
def test_a_token_has_one_source_that_is_whole(change: dict[str, str | None], said: str) -> None:
    extensions = {"sasl_oauth_extensions": "logicalCluster=lkc-1,identityPoolId=pool-2"}
    assert KafkaSettings.model_validate(TOKENS | extensions).sasl_oauth_client_id == "c"
    with pytest.raises(ValidationError, match=said) as refused:
        KafkaSettings.model_validate(TOKENS | change)
    assert "canary" not in str(refused.value)


def test_a_key_needs_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("REELSYNC_KAFKA__SSL_KEYFILE", "/k.pem")
    with pytest.raises(ValidationError, match="set …SSL_CERTFILE too"):
        Settings()
    monkeypatch.setenv("REELSYNC_KAFKA__SSL_CERTFILE", "/c.pem")
    assert Settings().kafka.ssl_keyfile == "/k.pem"


@pytest.mark.parametrize(
    "query", ["?sslrootcrt=/ca.pem", "?canary=1", "?sslmode=verify_full", "?sslrootcert=system&sslmode=require"]
)
def test_a_query_that_is_not_understood_is_refused_and_not_quoted(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setenv("REELSYNC_DATABASE__URL", URL + query)
    with pytest.raises(ValidationError, match="sslmode") as refused:
        Settings()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ("orders", ("t", "native")),
        (7, ("t",)),
        ({"aggregate": "user"}, ("t",)),
        ({"format": "avro", "aggregate": "user"}, ("t",)),
        ({"format": "debezium", "aggregate": "user"}, ("t", "debezium", "version")),
        ({"format": "debezium", "aggregate": "model_usage", "version": "v"}, ("t", "debezium", "aggregate")),
        ({"format": "debezium", "aggregate": "user", "version": ""}, ("t", "debezium", "version")),
        ({"format": "debezium", "aggregate": "user", "version": "source.txId"}, ("t", "debezium", "version")),
        ({"format": "debezium", "aggregate": "user", "version": "v", "deletes": "x"}, ("t", "debezium", "deletes")),
        (
            {"format": "debezium", "aggregate": "user", "version": "v", "columns": {"titel": "x"}},
            ("t", "debezium", "columns", "titel", "[key]"),
        ),
        ({"format": "outbox", "aggregate": "user", "version": "v"}, ("t", "outbox", "version")),
    ],
)
def test_a_topic_that_is_told_wrongly_is_refused_and_the_place_named(entry: Any, where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        KafkaSettings.model_validate({"topics": {"t": entry}})
    assert [problem["loc"] for problem in caught.value.errors()] == [("topics", *where)]


def test_topics_of_all_kinds_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"a": "user", "b": {"format": "debezium", "aggregate": "video", "version": "source.lsn"}}
    monkeypatch.setenv("REELSYNC_KAFKA__TOPICS", json.dumps(told))
    topics = BrokerSettings().kafka.topics
    assert topics == {"a": "user", "b": RowChangeTopic(aggregate="video", version="source.lsn")}
    assert KafkaSettings.model_validate({"topics": topics}).topics == topics
    assert KafkaSettings.model_validate(BrokerSettings().kafka.model_dump()).topics == topics
