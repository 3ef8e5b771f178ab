"""Settings from the environment and `.env`: prefix `REELSYNC_`, nested by `__`.

No working secret is a default. The table in docs/settings.md is made from this file.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from .servers import DatabaseSettings, KafkaSettings, Section
from .variables import ENV_FILE_ENCODING, check_variables, settings_by_variable

_ENV_FILE = ".env"


class BatchSettings(Section):
    """What goes into one transaction, and how much."""

    max_records: int = Field(15_000, ge=1, description="Most records that one batch reads.")
    max_rows: int = Field(
        5_000,
        ge=1,
        description="Most rows that one batch writes, or a few more. The time of a statement depends on them.",
    )
    max_bytes: int = Field(
        16_777_216,
        ge=1,
        description="Most bytes of keys and values that one batch reads, and four times the bytes that its rows are "
        "likely to take. A single record may be longer.",
    )
    linger_ms: int = Field(
        1_000,
        ge=0,
        description="Milliseconds that a batch which is not full waits for records that the log is known to have.",
    )
    video_states: bool = Field(
        default=False,
        description="Whether [each state of a video](tables.md#the-states-of-a-video) is kept in `video_states`. These "
        "rows are small, and BATCH__MAX_ROWS does not count them.",
    )


class DeadLetterSettings(Section):
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


class HttpSettings(Section):
    """Where `run` answers operators and probes, and when it calls itself stuck."""

    host: str = Field("127.0.0.1", min_length=1, description="Address on which `run` answers HTTP.")
    port: int = Field(
        8080, ge=0, le=65_535, description="Port on which it answers HTTP. 0 takes any free port, which the log names."
    )
    allowed_hosts: str = Field(
        "",
        description="Names by which it may be asked, separated by commas, besides any address, `localhost`, "
        "HTTP__HOST and the name of this machine. A request under another name is refused.",
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


class LogSettings(Section):
    """What is written to standard error."""

    format: Literal["console", "json"] = Field("console", description="`console` for people, `json` for programs.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is written.")
    slow_query_seconds: float = Field(
        1.0, gt=0, description="A statement that takes more seconds than this is logged at WARNING."
    )
    noticeable_query_seconds: float = Field(
        0.1, gt=0, description="A statement that takes more seconds than this is logged at INFO."
    )


class OtelSettings(Section):
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
                "consumes: each dead letter would become a new one. Name a topic of its own"
            )
            raise ValueError(message)
        return self
