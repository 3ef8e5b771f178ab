"""Events that the database refuses, as rejections. Name conflicts are found before they are tried."""

import asyncio
import traceback
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.postgres.sqlstate import EXCLUSION_VIOLATION, constraint, is_name_conflict, sqlstate
from reelsync.consumer.records import Reason
from reelsync.consumer.transform.claimed_names import ClaimedNames, User, asked_for, claim_of, find_refused
from reelsync.consumer.transform.decode import Located, Rejection
from reelsync.events import aggregate_id

# Three searches by three indexes, which one condition with OR would not use.
_USERS = text(
    """
    SELECT id, account_version, username, email, deletion_version, deleted_at IS NULL AS is_live FROM users
     WHERE id = ANY(CAST(:ids AS uuid[]))
    UNION
    SELECT id, account_version, username, email, deletion_version, true FROM users
     WHERE deleted_at IS NULL AND username = ANY(CAST(:usernames AS text[]))
    UNION
    SELECT id, account_version, username, email, deletion_version, true FROM users
     WHERE deleted_at IS NULL AND email = ANY(CAST(:emails AS text[]))
    """
)


def refusal(located: Located, error: DBAPIError) -> Rejection:
    """The rejection of an event that the database refuses."""
    reason: Reason = "conflict" if is_name_conflict(error) else "refused"
    return _rejection(located, reason, sqlstate(error), constraint(error))


def free(error: BaseException) -> None:
    """Free what the functions that raised an error still hold: the rows of the statement, for one.

    In SQLAlchemy's asyncpg driver such a function holds the error, which holds the function. Of a batch with many
    refused events that would be many times its rows, until the collector comes.
    """
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__


async def without_conflicts(
    connection: AsyncConnection, events: Sequence[Located], *, singly: bool = False
) -> tuple[Sequence[Located], list[Rejection]]:
    """The events without name conflicts, and the conflicts as rejections.

    The search is the same as if the events were merged by halves, as `BatchWriter` does it, or `singly`. Nothing is
    locked. If another transaction changes a name meanwhile, the database refuses an event after all, or an event is
    parked that has no conflict any more, and is redriven.
    """
    claims = [claim_of(located.event) for located in events]
    if not any(claims):
        return events, []
    found = await connection.execute(_USERS, asked_for(claims), execution_options={"query_name": "users.names"})
    users = {str(user_id): User(*facts) for user_id, *facts in found}
    # In a thread: it may take half a second, and heartbeats must not wait.
    refused = await asyncio.to_thread(find_refused, ClaimedNames(users), claims, singly=singly)
    rejections = [
        _rejection(events[place], "conflict", EXCLUSION_VIOLATION, f"uq_users_{column}")
        for place, column in refused.items()
    ]
    return [located for place, located in enumerate(events) if place not in refused], rejections


def _rejection(located: Located, reason: Reason, state: str | None, name: str | None) -> Rejection:
    event = located.event
    return Rejection(
        located.record,
        "write",
        reason,
        {"sqlstate": state, "constraint": name},
        event_id=event["id"],
        event_type=event["type"],
        aggregate_id=UUID(aggregate_id(event)),
    )
