"""The error table: what is done about each error of the database."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from consumer.errors import Verdict, classify, describe, is_name_conflict


class DriverError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("duplicate key value: Key (email)=(secret@example.com)")
        self.sqlstate = sqlstate


def database_error(sqlstate: str | None) -> DBAPIError:
    return DBAPIError("INSERT …", {"email": "secret@example.com"}, DriverError(sqlstate))


@pytest.mark.parametrize(
    ("sqlstate", "verdict"),
    [
        ("22001", Verdict.DATA),
        ("22P05", Verdict.DATA),
        ("23514", Verdict.DATA),
        ("23P01", Verdict.DATA),
        ("54000", Verdict.DATA),
        ("40001", Verdict.AGAIN),
        ("40P01", Verdict.AGAIN),
        ("55P03", Verdict.AGAIN),
        ("23505", Verdict.AGAIN),
        ("57014", Verdict.HALVE),
        ("53200", Verdict.HALVE),
        ("23502", Verdict.BUG),
        ("23503", Verdict.BUG),
        ("42P01", Verdict.BUG),
        ("42501", Verdict.BUG),
        ("21000", Verdict.BUG),
        ("0A000", Verdict.BUG),
        ("XX000", Verdict.BUG),
        ("08006", Verdict.OUTAGE),
        ("53300", Verdict.OUTAGE),
        ("53100", Verdict.OUTAGE),
        ("57P01", Verdict.OUTAGE),
        ("25006", Verdict.OUTAGE),
        ("28P01", Verdict.OUTAGE),
        ("3D000", Verdict.OUTAGE),
        (None, Verdict.OUTAGE),
    ],
)
def test_every_row_of_the_error_table(sqlstate: str | None, verdict: Verdict) -> None:
    assert classify(database_error(sqlstate)) is verdict


@pytest.mark.parametrize(
    "error",
    [ConnectionRefusedError(), TimeoutError(), OSError(), PoolTimeoutError(), asyncpg.InterfaceError("closed")],
    ids=lambda error: type(error).__name__,
)
def test_errors_without_a_sqlstate_are_outages(error: Exception) -> None:
    assert classify(error) is Verdict.OUTAGE


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), AssertionError()])
def test_errors_of_our_own_are_bugs(error: Exception) -> None:
    assert classify(error) is Verdict.BUG


def test_a_description_names_the_state_and_no_value() -> None:
    assert describe(database_error("23505")) == "DriverError, SQLSTATE 23505"
    assert is_name_conflict(database_error("23P01"))
    assert not is_name_conflict(database_error("23505"))
