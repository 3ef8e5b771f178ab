"""Passwords from files and from functions: asked for anew each time, and what each thing that is wrong says."""

import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr, ValidationError

from reelsync.consumer.errors import MisconfiguredError, ReelsyncError, UnavailableError
from reelsync.consumer.settings import DatabaseSettings, KafkaSettings
from reelsync.consumer.settings.passwords import database_password, kafka_password

URL = "postgresql+asyncpg://u@h/d"
SECRET = "canary-2f81"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("passwords_of_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def of_function(name: str = "password") -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(URL), password_provider=f"passwords_of_a_test:{name}")


async def password_of(settings: DatabaseSettings) -> str:
    ask = database_password(settings)
    assert ask is not None
    return await ask()


async def test_a_file_is_read_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "password"
    ask = database_password(DatabaseSettings(url=SecretStr(URL), password_file=str(file)))
    assert ask is not None
    for content, password in (("first\n", "first"), (" with spaces \r\n", " with spaces "), ("third", "third")):
        file.write_text(content)
        assert await ask() == password


async def test_a_function_or_a_coroutine_function_provides_it(provider: ModuleType) -> None:
    threads: list[int] = []
    given = iter(["first", "second"])

    def password() -> str:
        threads.append(threading.get_ident())
        return next(given)

    async def token() -> str:
        return "token"

    provider.password, provider.token = password, token
    assert [await password_of(of_function()), await password_of(of_function())] == ["first", "second"]
    assert threading.get_ident() not in threads, "a function that may block runs beside the event loop"
    assert await password_of(of_function("token")) == "token"


async def test_what_is_wrong_is_said_without_the_secret(provider: ModuleType, tmp_path: Path) -> None:
    def fails() -> str:
        raise RuntimeError(SECRET)

    provider.fails, provider.number = fails, lambda: 5
    empty = tmp_path / "empty"
    empty.write_text("\n")
    cases: list[tuple[DatabaseSettings, type[ReelsyncError], str]] = [
        (of_function("fails"), UnavailableError, "raised RuntimeError"),
        (of_function("number"), MisconfiguredError, "must return a password as str, not int"),
        (of_function("missing"), MisconfiguredError, "cannot be imported (AttributeError)"),
        (DatabaseSettings(url=SecretStr(URL), password_file="/nowhere"), MisconfiguredError, "cannot be read"),
        (DatabaseSettings(url=SecretStr(URL), password_file=str(empty)), MisconfiguredError, "is empty"),
    ]
    for settings, kind, said in cases:
        with pytest.raises(kind) as raised:
            await password_of(settings)
        assert said in str(raised.value)
        assert "REELSYNC_DATABASE__PASSWORD_" in str(raised.value)
        assert SECRET not in str(raised.value)


async def test_kafkas_password_comes_from_one_of_three(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "u"}
    fixed = KafkaSettings.model_validate(login | {"sasl_password": "fixed"})
    assert await kafka_password(fixed)() == "fixed"
    read = KafkaSettings.model_validate(login | {"sasl_password_file": str(file)})
    assert await kafka_password(read)() == "from the file"
    with pytest.raises(ValidationError, match="set one of REELSYNC_KAFKA__SASL_PASSWORD"):
        KafkaSettings.model_validate(login | {"sasl_password": "fixed", "sasl_password_file": str(file)})


def test_one_source_of_the_databases_password() -> None:
    with pytest.raises(ValidationError, match="not both"):
        DatabaseSettings(url=SecretStr(URL), password_file="f", password_provider="m:f")
    with pytest.raises(ValidationError, match="password_provider"):
        DatabaseSettings(url=SecretStr(URL), password_provider="no function")
