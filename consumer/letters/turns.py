"""Operators who work on one group's letters at the same time take turns, a transaction each."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_TURN = text("SELECT pg_advisory_xact_lock(hashtext('reelsync.letters'), hashtext(:consumer_group))")


async def take_turn(connection: AsyncConnection, group: str) -> None:
    """Wait until no other operator's transaction is under way. No consumer takes this lock, so none waits for it."""
    await connection.execute(_TURN, {"consumer_group": group}, execution_options={"query_name": "dead_letters.turn"})
