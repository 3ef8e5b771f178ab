"""Dead letters of a rebuild: those that the replay found, and those whose corrections it removes from the rows."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.events import ERASED_VERSION
from reelsync.models import DeadLetter
from reelsync.models.upsert import table_of

from .shadow_tables import SCHEMA

_NAMED = {"query_name": "rebuild.letters"}


async def add_letters(connection: AsyncConnection, live: str, group: str) -> None:
    """Add the letters that only the replay has. Letters that exist already keep their state."""
    table = table_of(DeadLetter)
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    await connection.execute(
        text(f"LOCK TABLE {live}.erasure_lock IN SHARE ROW EXCLUSIVE MODE"), execution_options=_NAMED
    )
    parameters = {"consumer_group": group}
    await connection.execute(
        text(
            f"INSERT INTO {live}.dead_letters ({columns}) SELECT {columns} FROM {SCHEMA}.dead_letters"
            " WHERE consumer_group = :consumer_group AND state = 'parked' ON CONFLICT DO NOTHING"
        ),
        parameters,
        execution_options=_NAMED,
    )
    await connection.execute(
        text(
            f"""
            UPDATE {live}.dead_letters d
               SET key = NULL, value = NULL, headers = NULL, named_ids = NULL,
                   corrected_key = NULL, corrected_value = NULL, corrected_headers = NULL
             WHERE d.consumer_group = :consumer_group AND d.headers IS NOT NULL
               AND d.aggregate_id IN (SELECT aggregate_id FROM {SCHEMA}.dead_letters)
               AND (EXISTS (SELECT FROM {live}.users u WHERE u.id = d.aggregate_id AND u.version >= {ERASED_VERSION})
                 OR EXISTS (SELECT FROM {live}.videos v WHERE v.id = d.aggregate_id AND v.version >= {ERASED_VERSION}))
            """
        ),
        parameters,
        execution_options=_NAMED,
    )


async def park_corrections(connection: AsyncConnection, live: str, group: str) -> int:
    """Park redriven corrections again, because rows that are exactly the log's do not contain them; returns how many.

    A redrive then applies them again. Letters whose content was removed stay closed.
    """
    parked = await connection.execute(
        text(
            f"""
            UPDATE {live}.dead_letters
               SET state = 'parked', closed_at = NULL, redrives = 0,
                   audit = audit || jsonb_build_object(
                     'action', 'parked', 'at', now(), 'by', session_user, 'because', 'rebuild --accept-loss')
             WHERE consumer_group = :consumer_group AND state = 'redriven'
               AND headers IS NOT NULL AND corrected_headers IS NOT NULL
            """
        ),
        {"consumer_group": group},
        execution_options=_NAMED,
    )
    return parked.rowcount
