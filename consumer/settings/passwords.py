"""Passwords and tokens that may change while the process runs: read from a file, a function or a token endpoint.

Each is read anew for each login.
"""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from reelsync.consumer.errors import MisconfiguredError, UnavailableError

from .servers import DatabaseSettings, KafkaSettings
from .token_endpoint import Client

Password = Callable[[], Awaitable[str]]


def database_password(settings: DatabaseSettings) -> Password | None:
    """What gives PostgreSQL's password; None if the URL, or libpq's own means, do."""
    return _password("REELSYNC_DATABASE__PASSWORD", settings.password_file, settings.password_provider)


def kafka_password(settings: KafkaSettings) -> Password:
    """What gives the password of SASL, or the token of OAUTHBEARER."""
    if client := _oauth_client(settings):
        setting = "REELSYNC_KAFKA__SASL_OAUTH_CLIENT_SECRET"
        secret = _password(setting, settings.sasl_oauth_client_secret_file, None)
        return partial(client.token, secret or _fixed(settings.sasl_oauth_client_secret or SecretStr("")))
    found = _password("REELSYNC_KAFKA__SASL_PASSWORD", settings.sasl_password_file, settings.sasl_password_provider)
    return found or _fixed(settings.sasl_password or SecretStr(""))


def forget_kafka_password(settings: KafkaSettings) -> None:
    """Drop the token that is kept for later logins, because a broker refuses it."""
    if client := _oauth_client(settings):
        client.forget_token()


def _oauth_client(settings: KafkaSettings) -> Client | None:
    if not (url := settings.sasl_oauth_token_endpoint_url):
        return None
    source = settings.sasl_oauth_client_secret or settings.sasl_oauth_client_secret_file
    return Client(url, settings.sasl_oauth_client_id or "", settings.sasl_oauth_scope, source)


def _password(setting: str, file: str | None, provider: str | None) -> Password | None:
    if file:
        return _from_file(f"{setting}_FILE", file)
    return _from_provider(f"{setting}_PROVIDER", provider) if provider else None


def _fixed(secret: SecretStr) -> Password:
    async def password() -> str:
        return secret.get_secret_value()

    return password


def _from_file(setting: str, path: str) -> Password:
    """The file's content, without the newline that editors put at its end."""

    async def password() -> str:
        try:
            content = await asyncio.to_thread(Path(path).read_text, "utf-8")
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise MisconfiguredError(f"{setting} names {path}, which cannot be read ({why})") from error
        if not content.strip():
            raise MisconfiguredError(f"{setting} names {path}, which is empty")
        return content.removesuffix("\n").removesuffix("\r")

    return password


def _from_provider(setting: str, name: str) -> Password:
    """What the function returns. One that is no coroutine function runs in a thread: it may ask a server.

    Whatever it raises is reported by its class alone, because its message may hold what it was given.
    """

    async def password() -> str:
        provide = _imported(setting, name)
        try:
            given = await (provide() if inspect.iscoroutinefunction(provide) else asyncio.to_thread(provide))
        except Exception as error:
            message = f"the password cannot be obtained: {name}, which {setting} names, raised {type(error).__name__}"
            raise UnavailableError(message) from error
        if not isinstance(given, str) or not given:
            message = f"{name}, which {setting} names, must return a password as str, not {type(given).__name__}"
            raise MisconfiguredError(message)
        return given

    return password


def _imported(setting: str, name: str) -> Callable[[], Any]:
    module, _, function = name.partition(":")
    try:
        found: Callable[[], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise MisconfiguredError(f"{setting} is {name}, which cannot be imported ({type(error).__name__})") from error
    return found
