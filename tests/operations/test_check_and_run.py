"""Whatever keeps `run` from working fails `check`: each fault is made, both are asked, and it is mended again."""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.support.processes import process, run_command
from tests.support.running import rows_of

_FUNCTION = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not on my watch''; END'"
)


def trigger(table: str) -> "Fault":
    """Somebody else's trigger that refuses each row."""
    return Fault(
        "SQLSTATE P0001: not on my watch",
        [_FUNCTION, f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"],
        [f"DROP TRIGGER refuse ON {table}", "DROP FUNCTION refuse()"],
    )


def right(what: str) -> "Fault":
    """A right that the consumer needs, and has no more."""
    said = "the role lacks a permission: run deploy/postgres/roles.sql"
    return Fault(said, [f"REVOKE {what} FROM {{role}}"], [f"GRANT {what} TO {{role}}"])


class Fault(NamedTuple):
    """What is done to the database and undone, or a variable; and what both commands then say."""

    said: str
    breaking: Sequence[str] = ()
    mending: Sequence[str] = ()
    variables: Callable[[Settings], dict[str, str]] = lambda _: {}


FAULTS = {
    "takes no writes": Fault(
        "the database takes no writes",
        ["ALTER DATABASE {database} SET default_transaction_read_only = on"],
        ["ALTER DATABASE {database} SET default_transaction_read_only = off"],
    ),
    "positions may not be moved": right("UPDATE ON consumer_offsets"),
    "videos may not be written": right("INSERT ON videos"),
    "letters may not be parked": right("INSERT ON dead_letters"),
    "a trigger on positions": trigger("consumer_offsets"),
    "a trigger on letters": trigger("dead_letters"),
    "a letter that no table takes": Fault(
        "SQLSTATE 23514",
        ["ALTER TABLE dead_letters ADD CONSTRAINT none CHECK (stage = 'none')"],
        ["ALTER TABLE dead_letters DROP CONSTRAINT none"],
    ),
    "a column is missing": Fault(
        "the schema is not that of this version",
        ["ALTER TABLE videos RENAME COLUMN title TO heading"],
        ["ALTER TABLE videos RENAME COLUMN heading TO title"],
    ),
    "no such topic": Fault(
        "no such topic", variables=lambda _: {"REELSYNC_KAFKA__TOPICS": '{"no-such-topic": "video"}'}
    ),
    "no such database": Fault(
        "there is no such database",
        variables=lambda settings: {"REELSYNC_DATABASE__URL": _url(settings, database="nowhere")},
    ),
    "no broker": Fault("no broker answers", variables=lambda _: {"REELSYNC_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}),
    "no database": Fault(
        "is PostgreSQL up", variables=lambda settings: {"REELSYNC_DATABASE__URL": _url(settings, port=1)}
    ),
    "wrong password": Fault(
        "the user or the password is refused",
        variables=lambda settings: {"REELSYNC_DATABASE__URL": _url(settings, password="wrong")},
    ),
}


def _url(settings: Settings, **changes: object) -> str:
    url = make_url(settings.database.url.get_secret_value()).set(**changes)
    return url.render_as_string(hide_password=False)


async def execute(operator: AsyncConnection, settings: Settings, statements: Sequence[str]) -> None:
    url = make_url(settings.database.url.get_secret_value())
    for statement in statements:
        await operator.execute(text(statement.format(database=url.database, role=url.username)))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_both_say_what_is_wrong(settings: Settings, operator: AsyncConnection, fault: Fault) -> None:
    variables = fault.variables(settings)
    await execute(operator, settings, fault.breaking)
    checked = run_command(settings, "check", "--json", **variables)
    wrong = [row["message"] for row in json.loads(checked.stdout) if not row["ok"]]
    assert checked.returncode == 1
    assert any(fault.said in message for message in wrong), wrong
    with process(settings, "-m", "reelsync.consumer", "run", REELSYNC_LOG__FORMAT="json", **variables) as running:
        told = next((line for line in running.stderr if fault.said in line), None)
    assert told, "run says nothing of it"
    await execute(operator, settings, fault.mending)
    assert run_command(settings, "check").returncode == 0, "check does not notice that it is mended"


async def test_what_run_can_work_with_passes_check(settings: Settings, operator: AsyncConnection) -> None:
    """A constraint that refuses some events, which are parked. And nothing of the made-up batch is left."""
    await operator.execute(text("ALTER TABLE videos ADD CONSTRAINT taste CHECK (title NOT LIKE 'Never%')"))
    checked = run_command(settings, "check")
    assert checked.returncode == 0, checked.stdout
    for table in ("videos", "users", "dead_letters", "consumer_offsets"):
        assert await rows_of(settings, table) == []


async def test_a_lock_that_somebody_holds_does_not_keep_run_from_starting(
    settings: Settings, operator: AsyncConnection
) -> None:
    hasty = settings.model_copy(update={"database": settings.database.model_copy(update={"lock_timeout": 0.2})})
    await operator.execute(text("BEGIN"))
    await operator.execute(text("LOCK TABLE videos"))
    checked = run_command(hasty, "check")
    assert checked.returncode == 1
    assert "SQLSTATE 55P03): see which sessions hold locks there" in checked.stdout
    with process(hasty, "-m", "reelsync.consumer", "run", REELSYNC_LOG__FORMAT="json") as running:
        assert next(line for line in running.stderr if "consumer.started" in line)
        await operator.execute(text("COMMIT"))
