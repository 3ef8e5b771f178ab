"""Settings from the environment and `.env`: prefix `REELSYNC_`, nested by `__`.

No working secret is a default. The table in docs/settings.md is made from this file.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from reelsync.events import TOPICS
from reelsync.events.debezium import Topic
from reelsync.models.database_url import FORM, for_asyncpg
from reelsync.models.pooler import Pooler

from .broker_addresses import addresses_of
from .variables import ENV_FILE_ENCODING, check_variables, settings_by_variable

_IMPORT_STRING = r"^[\w.]+:\w+$"
_ENV_FILE = ".env"
DEFAULT_TOPICS: dict[str, Topic] = {topic: aggregate for aggregate, topic in TOPICS.items()}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class KafkaSettings(_Section):
    """Where events come from."""

    bootstrap_servers: str = Field(
        "localhost:9092", description="Brokers to connect to first, `host:port`, separated by commas."
    )
    group_id: str = Field("reelsync", min_length=1, max_length=255, description="Consumer group.")
    topics: dict[str, Topic] = Field(
        DEFAULT_TOPICS,
        min_length=1,
        description=(
            "JSON object: topic → aggregate (`user`, `video`, `model_usage`), or an object for what "
            "[Debezium](debezium.md) writes."
        ),
    )
    start_from: Literal["earliest", "latest"] = Field(
        "earliest", description="Where to begin in a partition for which the group has no position yet."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers: with or without TLS and a login."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to log in, if the protocol begins with SASL."
    )
    sasl_username: str | None = Field(None, description="User name, if the protocol begins with SASL.")
    sasl_password: SecretStr | None = Field(None, description="Password, if the protocol begins with SASL.")
    sasl_password_file: str | None = Field(
        None, description="File with that password, instead of the password itself. It is read for each new client."
    )
    sasl_password_provider: str | None = Field(
        None,
        pattern=_IMPORT_STRING,
        description="`module:function` that returns that password, instead of the password itself. It is called for "
        "each new client.",
    )
    ssl_cafile: str | None = Field(
        None, description="File of trusted certificate authorities, PEM. Without it, those of the system."
    )
    ssl_certfile: str | None = Field(None, description="Client certificate, PEM.")
    ssl_keyfile: str | None = Field(None, description="Key of the client certificate, PEM.")
    ssl_keyfile_password: SecretStr | None = Field(None, description="Password of that key.")
    session_timeout_ms: int = Field(
        30_000, ge=1_000, description="Milliseconds without a heartbeat after which a member counts as gone."
    )
    rebalance_timeout_ms: int = Field(
        60_000, ge=1_000, description="Milliseconds that a member has to finish its batch when partitions move."
    )
    max_value_bytes: int = Field(524_288, ge=1, description="A record with a longer value becomes a dead letter.")
    anchor_timeout_ms: int = Field(
        3_000,
        ge=100,
        description="When a partition is assigned, its last applied record is read again, to check that the log is "
        "still the same one. Milliseconds to wait for that record.",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_addresses(cls, servers: str) -> str:
        return ",".join(map(str, addresses_of(servers)))

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        passwords = [self.sasl_password, self.sasl_password_file, self.sasl_password_provider]
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and any(passwords)):
            message = f"{self.security_protocol} needs REELSYNC_KAFKA__SASL_USERNAME and …SASL_PASSWORD"
            raise ValueError(message)
        if sum(password is not None for password in passwords) > 1:
            message = "set one of REELSYNC_KAFKA__SASL_PASSWORD, …SASL_PASSWORD_FILE and …SASL_PASSWORD_PROVIDER"
            raise ValueError(message)
        if self.ssl_keyfile and not self.ssl_certfile:
            message = "REELSYNC_KAFKA__SSL_KEYFILE is the key of a certificate: set …SSL_CERTFILE too"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _protects_what_is_set(self) -> Self:
        """Refuse a login or certificates that would not be used: who set them believes the connection to be safe."""
        protocol = self.security_protocol
        for name, field in type(self).model_fields.items():
            wanted = "SASL_SSL" if name.startswith("sasl_") or protocol.startswith("SASL") else "SSL"
            used = protocol.startswith("SASL") if name.startswith("sasl_") else protocol.endswith("SSL")
            if (
                name.startswith(("sasl_", "ssl_"))
                and not used
                and str(getattr(self, name)) not in {"", str(field.default)}
            ):
                message = (
                    f"REELSYNC_KAFKA__{name.upper()} is set, and REELSYNC_KAFKA__SECURITY_PROTOCOL is {protocol}, "
                    f"which does not use it: make the protocol {wanted}, or remove {name.upper()}"
                )
                raise ValueError(message)
        return self


class DatabaseSettings(_Section):
    """Where rows go."""

    url: SecretStr = Field(
        description=(
            "`postgresql+asyncpg://user:password@host:port/database`, the password percent-encoded, and for TLS "
            "`?sslmode=verify-full&sslrootcert=FILE`. Required."
        )
    )
    password_file: str | None = Field(
        None,
        description="File with the password, instead of a password in the URL. It is read for each new connection.",
    )
    password_provider: str | None = Field(
        None,
        pattern=_IMPORT_STRING,
        description="`module:function` that returns the password, for example a token of a cloud. It is called for "
        "each new connection, and may be a coroutine function.",
    )
    pooler: Pooler = Field(
        "none",
        description="Which [pooler](poolers.md) is in front of PostgreSQL: `none`, or one such as PgBouncer in "
        "`session` or `transaction` mode.",
    )
    pool_size: int = Field(20, ge=1, description="Most connections that are kept open.")
    max_overflow: int = Field(30, ge=0, description="Most connections beyond those, for a short time.")
    pool_timeout: float = Field(30.0, gt=0, description="Seconds to wait for a free connection.")
    pool_recycle: int = Field(3600, ge=-1, description="Seconds after which a connection is replaced.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to wait for a new connection.")
    statement_timeout: float = Field(60.0, gt=0, description="Seconds after which the server ends a statement.")
    lock_timeout: float = Field(10.0, gt=0, description="Seconds to wait for a lock.")
    idle_in_transaction_timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds after which the server ends an idle transaction, so that a stopped process keeps no lock.",
    )

    @field_validator("url")
    @classmethod
    def _is_for_asyncpg(cls, url: SecretStr) -> SecretStr:
        stripped = url.get_secret_value().strip()
        if not for_asyncpg(stripped)[0].database:
            raise ValueError(f"names no database: it must have the form {FORM}")
        return SecretStr(stripped)

    @model_validator(mode="after")
    def _has_one_password(self) -> Self:
        if self.password_file and self.password_provider:
            message = "set REELSYNC_DATABASE__PASSWORD_FILE or …PASSWORD_PROVIDER, not both"
            raise ValueError(message)
        return self


class BatchSettings(_Section):
    """How much goes into one transaction."""

    max_records: int = Field(15_000, ge=1, description="Most records that one batch reads.")
    max_rows: int = Field(
        5_000,
        ge=1,
        description="Most rows that one batch writes, or a few more. The time of a statement depends on them.",
    )
    max_bytes: int = Field(
        8_388_608,
        ge=1,
        description="Most bytes of keys and values that one batch reads, and four times the bytes that its rows are "
        "likely to take. A single record may be longer.",
    )
    linger_ms: int = Field(
        1_000,
        ge=0,
        description="Milliseconds that a batch which is not full waits for records that the log is known to have.",
    )


class DeadLetterSettings(_Section):
    """When dead letters are no longer poison but a bad deploy, when to try again, and what becomes of them."""

    window_records: int = Field(50_000, ge=1, description="Number of latest records that the next two limits look at.")
    max_count: int = Field(
        10_000, ge=1, description="The consumer stops if the window has at least so many dead letters …"
    )
    max_share: float = Field(0.5, gt=0, le=1, description="… and they are at least this share of its records.")
    redrive_min_seconds: float = Field(
        1.0, gt=0, description="First wait before parked name conflicts are tried again."
    )
    redrive_max_seconds: float = Field(300.0, gt=0, description="Longest such wait. The wait doubles each time.")
    max_redrives: int = Field(
        5,
        ge=1,
        description="`dlq redrive` skips a letter after so many failed attempts. A correction sets the count to zero.",
    )
    retention_days: int = Field(
        90,
        ge=0,
        description="Days after which the payload of a redriven or discarded letter is removed. 0 means never. "
        "Parked letters stay.",
    )
    relay_topic: str | None = Field(
        None, min_length=1, max_length=249, description="Kafka topic to which each parked letter is sent as well."
    )


class HttpSettings(_Section):
    """Where `run` answers operators and probes, and when it calls itself stuck."""

    host: str = Field("127.0.0.1", min_length=1, description="Address on which `run` answers HTTP.")
    port: int = Field(
        8080, ge=0, le=65_535, description="Port on which it answers HTTP. 0 takes any free port, which the log names."
    )
    probe_seconds: float = Field(
        5.0, gt=0, description="Seconds between two checks of PostgreSQL and Kafka, and the time limit of each check."
    )
    stalled_seconds: float = Field(
        180.0,
        gt=0,
        description="`/livez` fails after so many seconds without progress, while there is work and no server is away. "
        "Never less than twice DATABASE__STATEMENT_TIMEOUT.",
    )
    blocked_seconds: float = Field(
        30.0,
        gt=0,
        lt=60,
        description="`/livez` fails if the event loop was blocked for so many seconds of the last minute.",
    )


class LogSettings(_Section):
    """What is written to standard error."""

    format: Literal["console", "json"] = Field("console", description="`console` for people, `json` for programs.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is written.")
    slow_query_seconds: float = Field(
        1.0, gt=0, description="A statement that takes more seconds than this is logged at WARNING."
    )
    noticeable_query_seconds: float = Field(
        0.1, gt=0, description="A statement that takes more seconds than this is logged at INFO."
    )


class OtelSettings(_Section):
    """Whether metrics and traces go to an OpenTelemetry collector as well."""

    enabled: bool = Field(
        default=False,
        description="Whether metrics and traces are sent by OTLP over HTTP. OpenTelemetry's own variables, "
        "`OTEL_EXPORTER_OTLP_ENDPOINT` and the others, say where to and how. Needs the extra `otel`.",
    )


class BrokerSettings(BaseSettings):
    """What a command needs that talks to Kafka alone."""

    model_config = SettingsConfigDict(
        env_prefix="REELSYNC_",
        env_nested_delimiter="__",
        extra="ignore",
        hide_input_in_errors=True,
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @classmethod
    def settings_customise_sources(  # noqa: D102 - Pydantic's hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - it reads its file before this can look at it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there are none
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        check_variables(os.environ, Path(_ENV_FILE), settings_by_variable(Settings))
        from_file = DotEnvSettingsSource(settings_cls, env_file=_ENV_FILE, env_file_encoding=ENV_FILE_ENCODING)
        return init_settings, env_settings, from_file


class Settings(BrokerSettings):
    """All settings. Build it once, in the command, and pass the parts on."""

    database: DatabaseSettings
    batch: BatchSettings = Field(default_factory=BatchSettings)
    dead_letters: DeadLetterSettings = Field(default_factory=DeadLetterSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    @model_validator(mode="after")
    def _does_not_consume_its_own_letters(self) -> Self:
        if self.dead_letters.relay_topic in self.kafka.topics:
            message = (
                f"REELSYNC_DEAD_LETTERS__RELAY_TOPIC is {self.dead_letters.relay_topic}, which REELSYNC_KAFKA__TOPICS "
                "consumes: each letter would become another one. Name a topic of its own"
            )
            raise ValueError(message)
        return self
