"""`reelsync migrate`."""

from reelsync.consumer.errors import MisconfiguredError, ReelsyncError, UnavailableError
from reelsync.consumer.postgres.diagnosis import explain
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.preflight import another_program, check_session
from reelsync.consumer.settings import DatabaseSettings, Settings
from reelsync.consumer.settings.passwords import database_password
from reelsync.migrations.compatibility import SchemaState, schema_state
from reelsync.migrations.locks import LockedError
from reelsync.migrations.revisions import head_revision

from .terminal import UsageError, err, load, print_json, run_async, write_out


def migrate(*, json: bool, sql: bool) -> None:
    """Carry out the command."""
    if sql and json:
        raise UsageError("--sql prints SQL: leave out --json")
    settings = load(Settings).database
    with err.status("Migrating…"):
        state = run_async(_bring_up(settings, change=not sql))
    if state.foreign:
        raise ReelsyncError(another_program(state.foreign))
    before, head = state.revision, head_revision()
    if state.newer and not state.usable:
        message = (
            f"the database is at revision {before}, newer than this version's {head}, and this version cannot use it: "
            "deploy the version of reelsync that migrated it"
        )
        raise ReelsyncError(message)
    after = before if state.newer else head
    if json:
        print_json({"before": before, "after": after})
    elif before == after:
        err.print(f"Nothing to do: the schema is at {after}{', which is newer and may be used' * state.newer}.")
    elif sql:
        from reelsync.migrations.runner import upgrade_sql

        write_out(upgrade_sql(before, settings.schema_name).encode())
        err.print(f"Run this with psql, as the role that owns the tables: from {before or 'nothing'} to {after}.")
    else:
        err.print(f"The schema went from {before or 'nothing'} to {after}.")


async def _bring_up(settings: DatabaseSettings, *, change: bool) -> SchemaState:
    """Migrate, unless the schema is newer or of another program, or `change` is false. Returns the state before.

    Raises:
        ReelsyncError: it could not be migrated.
    """
    from reelsync.migrations.runner import upgrade

    url, password, schema = settings.url.get_secret_value(), database_password(settings), settings.schema_name
    try:
        before = await schema_state(url, password, schema)
        if change and not before.newer and not before.foreign:
            await check_session(settings, "migrate")
            await upgrade(url, password=password, schema=schema)
    except LockedError as error:
        raise ReelsyncError(str(error)) from error
    except MisconfiguredError:
        raise
    except Exception as error:
        problem = explain(error, settings)
        if isinstance(problem, MisconfiguredError | UnavailableError):
            raise problem from error
        message = (
            f"the database could not be migrated ({describe(error)}): may the role create tables? See the "
            "database's log"
        )
        raise ReelsyncError(message) from error
    return before
