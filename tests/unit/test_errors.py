"""The error table: what is done about each error of the database, and what is said of it."""

import errno

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from reelsync.consumer.errors import FencedError, HaltedError, ReelsyncError, UnavailableError
from reelsync.consumer.postgres.diagnosis import explain
from reelsync.consumer.postgres.sqlstate import (
    Verdict,
    classify,
    constraint,
    describe,
    explanation,
    is_name_conflict,
    server_message,
    sqlstate,
)
from reelsync.consumer.settings import DatabaseSettings

SECRET = "secret@example.com"


class Refusal(Exception):  # noqa: N818 - as the driver's own
    """What asyncpg raises."""

    def __init__(self, constraint_name: str | None) -> None:
        super().__init__(f"duplicate key\nDETAIL: Key (email)=({SECRET})")
        self.constraint_name = constraint_name


class Wrapped(Exception):  # noqa: N818 - as SQLAlchemy's own
    """What SQLAlchemy makes of it."""

    def __init__(self, state: str | None) -> None:
        super().__init__(f"duplicate key: {SECRET}")
        self.sqlstate = state


def database_error(state: str | None, name: str | None = None, kind: type[DBAPIError] = DBAPIError) -> DBAPIError:
    wrapped = Wrapped(state)
    wrapped.__cause__ = Refusal(name)
    return kind("INSERT …", {"email": SECRET}, wrapped, hide_parameters=True)


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ("22000 22001 22003 22007 22008 22021 22023 22P02 22P03 22P05", Verdict.DATA),
        ("23514", Verdict.DATA),
        ("23P01", Verdict.DATA),
        ("54000 54001", Verdict.DATA),
        ("40001", Verdict.AGAIN),
        ("40P01", Verdict.AGAIN),
        ("55P03", Verdict.AGAIN),
        ("23505", Verdict.AGAIN),
        ("57014", Verdict.HALVE),
        ("53200", Verdict.HALVE),
        ("23502", Verdict.BUG),
        ("23503", Verdict.AGAIN),
        ("42601 42703 42804 42883 42P01 42P10 42501", Verdict.BUG),
        ("21000", Verdict.BUG),
        ("0A000", Verdict.BUG),
        ("XX000 XX001 XX002", Verdict.BUG),
        ("25P02 26000 2F000 P0001 99999", Verdict.BUG),
        ("08000 08001 08003 08004 08006 08007", Verdict.OUTAGE),
        ("53000 53100 53300 53400", Verdict.OUTAGE),
        ("57P01 57P02 57P03 57P04 57P05", Verdict.OUTAGE),
        ("25006 25P03", Verdict.OUTAGE),
        ("08P01", Verdict.BUG),
        ("08999 22999 23999 25999 28999 3D999 40999 53999 54999 57999", Verdict.BUG),
        ("28000 28P01", Verdict.OUTAGE),
        ("3D000", Verdict.OUTAGE),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else value.value,
)
def test_a_state_has_the_verdict_of_its_row_whatever_class_it_comes_in(states: str, verdict: Verdict) -> None:
    for state in states.split():
        for kind in (DBAPIError, OperationalError, InterfaceError):
            assert classify(database_error(state, kind=kind)) is verdict, state
        assert classify(Wrapped(state)) is verdict, state


def test_what_a_pooler_refuses_may_be_an_outage() -> None:
    refused = asyncpg.ProtocolViolationError("server login failed")
    refused.severity = "FATAL"
    assert classify(refused) is Verdict.OUTAGE
    assert describe(refused) == "ProtocolViolationError, SQLSTATE 08P01, server login failed"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (database_error("P0001"), "Wrapped, SQLSTATE P0001: duplicate key"),
        (database_error("42999"), "Wrapped, SQLSTATE 42999: duplicate key"),
        (
            database_error("42501"),
            "Wrapped, SQLSTATE 42501: duplicate key; the role lacks a permission: run deploy/postgres/roles.sql for it",
        ),
        (KeyError(SECRET), "KeyError, a defect of reelsync: please report it"),
    ],
    ids=["of a function", "of a class that is known", "known", "not of a database"],
)
def test_a_refusal_is_explained_by_the_server_s_sentence_and_no_advice_for_its_class(
    error: Exception, said: str
) -> None:
    assert explanation(error) == said


@pytest.mark.parametrize(
    "error",
    [
        database_error(None),
        database_error(None, kind=InterfaceError),
        ConnectionRefusedError(),
        ConnectionResetError(),
        BrokenPipeError(),
        OSError("no route"),
        TimeoutError(),
        PoolTimeoutError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("unexpected"),
        asyncpg.ConnectionDoesNotExistError("closed"),
        asyncpg.CannotConnectNowError("starting up"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_lost_refused_or_silent_connection_is_an_outage(error: Exception) -> None:
    assert classify(error) is Verdict.OUTAGE


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), TypeError("x"), AssertionError(), RuntimeError(), InvalidRequestError("x"), ValueError("x")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_our_own_is_a_bug(error: Exception) -> None:
    assert classify(error) is Verdict.BUG


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (database_error("23P01"), "23P01"),
        (asyncpg.exceptions.DeadlockDetectedError("x"), "40P01"),
        (database_error(None), None),
        (KeyError("x"), None),
    ],
    ids=["wrapped", "bare", "none given", "not of a database"],
)
def test_the_state_is_the_server_s_or_none(error: Exception, state: str | None) -> None:
    assert sqlstate(error) == state


@pytest.mark.parametrize("name", ["uq_users_email", None])
def test_the_constraint_is_the_one_that_the_server_named(name: str | None) -> None:
    assert constraint(database_error("23P01", name)) == name


def test_only_an_exclusion_is_a_name_conflict() -> None:
    assert is_name_conflict(database_error("23P01"))
    assert not is_name_conflict(database_error("23505"))
    assert not is_name_conflict(database_error(None))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (database_error("23P01", "uq_users_email"), "Wrapped, SQLSTATE 23P01, constraint uq_users_email"),
        (database_error("23P01"), "Wrapped, SQLSTATE 23P01"),
        (database_error(None), "Wrapped"),
        (ConnectionRefusedError(SECRET), "ConnectionRefusedError"),
        (OSError(errno.EMFILE, SECRET), "Too many open files"),
        (OSError(SECRET), "OSError"),
    ],
    ids=["with a constraint", "with a state", "plain", "not of a database", "of the system", "of nothing known"],
)
def test_a_description_names_class_state_and_constraint_and_no_value(error: Exception, text: str) -> None:
    assert describe(error) == text
    assert SECRET not in describe(error)


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("25006", "it accepts no writes: is it a replica?"),
        ("53100", "its disk is full: make room there"),
        ("53300", "it has too many connections: close some, or raise max_connections there"),
    ],
)
def test_a_server_that_answers_but_cannot_serve_is_not_called_silent(state: str, remedy: str) -> None:
    settings = DatabaseSettings(url=SecretStr("postgresql+asyncpg://user@127.0.0.1:1/reelsync"))
    explained = explain(database_error(state), settings)
    assert isinstance(explained, UnavailableError)
    assert str(explained) == (
        f"the database reelsync at 127.0.0.1:1 cannot be used now (Wrapped, SQLSTATE {state}): {remedy}"
    )


def test_the_server_s_message_is_its_first_line() -> None:
    assert server_message(database_error("42P01")) == "duplicate key"
    assert server_message(OSError("no route\nto host")) == "no route"


def test_errors_for_people_are_one_family() -> None:
    assert all(issubclass(kind, ReelsyncError) for kind in (FencedError, HaltedError, UnavailableError))
