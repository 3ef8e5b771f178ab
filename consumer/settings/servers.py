"""The settings of the two servers: where events come from, and where rows go."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from reelsync.events import TOPICS
from reelsync.events.debezium import Topic
from reelsync.models.database_url import FORM, for_asyncpg
from reelsync.models.pooler import Pooler

from .broker_addresses import addresses_of

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_IMPORT_STRING = r"^[\w.]+:\w+$"
DEFAULT_TOPICS: dict[str, Topic] = {topic: aggregate for aggregate, topic in TOPICS.items()}


class Section(BaseModel):
    """Settings of one prefix. What is not known is refused, and no message shows what was given."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Section):
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
    client_rack: str | None = Field(
        None,
        min_length=1,
        description="Where this consumer is, as `broker.rack` of the brokers says it: records are then read from the "
        "[nearest replica](operations.md#reading-from-the-nearest-replica).",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers: with or without TLS and a login."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512",
        description="How to log in, if the protocol begins with SASL: with a password, or with a "
        "[token](security.md#tokens) (`OAUTHBEARER`).",
    )
    sasl_username: str | None = Field(None, description="User name. `OAUTHBEARER` needs none.")
    sasl_password: SecretStr | None = Field(None, description="Password, if the protocol begins with SASL.")
    sasl_password_file: str | None = Field(
        None,
        description="File with that password, or with the token for `OAUTHBEARER`. It is read for each login.",
    )
    sasl_password_provider: str | None = Field(
        None,
        pattern=_IMPORT_STRING,
        description="`module:function` that returns that password or token. It is called for each login, and may be a "
        "coroutine function.",
    )
    sasl_oauth_token_endpoint_url: str | None = Field(
        None, description="Where `OAUTHBEARER` gets its tokens, by OAuth's client credentials: `https://…`."
    )
    sasl_oauth_client_id: str | None = Field(None, description="Id of the client, for that token endpoint.")
    sasl_oauth_client_secret: SecretStr | None = Field(None, description="Secret of that client.")
    sasl_oauth_client_secret_file: str | None = Field(
        None, description="File with that secret, instead of the secret itself. It is read for each new token."
    )
    sasl_oauth_scope: str | None = Field(
        None, description="Scope to ask that endpoint for; several are separated by spaces."
    )
    sasl_oauth_extensions: str | None = Field(
        None,
        pattern=r"^[A-Za-z]+=[!-+\--~]+(,[A-Za-z]+=[!-+\--~]+)*$",
        description="SASL extensions that some clouds want with the token: `name=value`, separated by commas.",
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
    max_value_bytes: int = Field(
        524_288, ge=1, le=8_388_608, description="A record with a longer value becomes a dead letter. 8 MiB at most."
    )
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

    @field_validator("sasl_oauth_token_endpoint_url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError("must have the form https://host/path, without a login")
        return url

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        passwords = [self.sasl_password, self.sasl_password_file, self.sasl_password_provider]
        if sum(password is not None for password in passwords) > 1:
            message = "set one of REELSYNC_KAFKA__SASL_PASSWORD, …SASL_PASSWORD_FILE and …SASL_PASSWORD_PROVIDER"
            raise ValueError(message)
        if not self.security_protocol.startswith("SASL"):
            return self
        if self.sasl_mechanism == "OAUTHBEARER":
            self._require_a_token()
        elif not (self.sasl_username and any(passwords)):
            message = f"{self.security_protocol} needs REELSYNC_KAFKA__SASL_USERNAME and …SASL_PASSWORD"
            raise ValueError(message)
        return self

    def _require_a_token(self) -> None:
        given = [self.sasl_password_file, self.sasl_password_provider, self.sasl_oauth_token_endpoint_url]
        if self.sasl_password or sum(source is not None for source in given) != 1:
            raise ValueError(
                "OAUTHBEARER needs one of REELSYNC_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT_URL, …SASL_PASSWORD_PROVIDER and "
                "…SASL_PASSWORD_FILE"
            )
        secrets = [self.sasl_oauth_client_secret, self.sasl_oauth_client_secret_file]
        if self.sasl_oauth_token_endpoint_url and not (
            self.sasl_oauth_client_id and sum(secret is not None for secret in secrets) == 1
        ):
            raise ValueError(
                "REELSYNC_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT_URL needs …SASL_OAUTH_CLIENT_ID, and one of "
                "…SASL_OAUTH_CLIENT_SECRET and …SASL_OAUTH_CLIENT_SECRET_FILE"
            )

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.ssl_keyfile and not self.ssl_certfile:
            message = "REELSYNC_KAFKA__SSL_KEYFILE is the key of a certificate: set …SSL_CERTFILE too"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _protects_what_is_set(self) -> Self:
        """Refuse a login or certificates that would not be used: who set them believes the connection to be safe."""
        protocol, bearer = self.security_protocol, self.sasl_mechanism == "OAUTHBEARER"
        for name, field in type(self).model_fields.items():
            is_set = str(getattr(self, name)) not in {"", str(field.default)}
            if name.startswith("sasl_oauth_") and is_set and protocol.startswith("SASL") and not bearer:
                message = (
                    f"REELSYNC_KAFKA__{name.upper()} is set, and REELSYNC_KAFKA__SASL_MECHANISM is "
                    f"{self.sasl_mechanism}, which does not use it: make the mechanism OAUTHBEARER"
                )
                raise ValueError(message)
            wanted = "SASL_SSL" if name.startswith("sasl_") or protocol.startswith("SASL") else "SSL"
            used = protocol.startswith("SASL") if name.startswith("sasl_") else protocol.endswith("SSL")
            if name.startswith(("sasl_", "ssl_")) and not used and is_set:
                message = (
                    f"REELSYNC_KAFKA__{name.upper()} is set, and REELSYNC_KAFKA__SECURITY_PROTOCOL is {protocol}, "
                    f"which does not use it: make the protocol {wanted}, or remove {name.upper()}"
                )
                raise ValueError(message)
        return self


class DatabaseSettings(Section):
    """Where rows go."""

    # `schema` is a method of Pydantic's models.
    model_config = ConfigDict(populate_by_name=True)

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
    schema_name: str | None = Field(
        None,
        alias="schema",
        description="Schema that all tables are in. Without it, the first one of the role's `search_path`: `public`.",
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

    @field_validator("schema_name")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not _SCHEMA_NAME.fullmatch(name):
            raise ValueError("must be a name of a-z, 0-9 and _ that begins with no digit, 63 characters at most")
        return name

    @model_validator(mode="after")
    def _has_one_password(self) -> Self:
        if self.password_file and self.password_provider:
            message = "set REELSYNC_DATABASE__PASSWORD_FILE or …PASSWORD_PROVIDER, not both"
            raise ValueError(message)
        return self
