"""Compares every row with an independent calculation, which shares no code with the consumer."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from demo.day import DayRecord
from reelsync.testing.expected_tables import differences, expected_tables

_KEYS = {"users": "id", "user_profiles": "user_id", "videos": "id", "model_usage": "id"}


async def verify(connection: AsyncConnection, records: Sequence[DayRecord]) -> list[str]:
    """The differences between the tables and what they must be; none, if all is well."""
    valid = [record for record in records if record.expected in {"event", "tombstone"}]
    actual = {table: await _rows_by_key(connection, table, key) for table, key in _KEYS.items()}
    return [*differences(expected_tables(valid), actual), *await _letter_differences(connection, records)]


async def _rows_by_key(connection: AsyncConnection, table: str, key: str) -> dict[str, dict[str, Any]]:
    found = await connection.execute(text(f"SELECT * FROM {table}"), execution_options={"query_name": "verify"})  # noqa: S608
    return {str(row[key]): dict(row) for row in found.mappings()}


async def _letter_differences(connection: AsyncConnection, records: Sequence[DayRecord]) -> list[str]:
    """Check that each poison record is one dead letter, with its bytes unchanged unless its aggregate was erased."""
    found = await connection.execute(
        text("SELECT topic, value, count(*), min(attempts), max(attempts) FROM dead_letters GROUP BY 1, 2"),
        execution_options={"query_name": "verify"},
    )
    letters = {(topic, value): (count, least, most) for topic, value, count, least, most in found}
    poison = [record for record in records if record.expected not in {"event", "tombstone"}]
    total = sum(count for count, _, _ in letters.values())
    problems = [] if total == len(poison) else [f"dead_letters: {total} rows for {len(poison)} poison records"]
    if any((least, most) != (1, 1) for _, least, most in letters.values()):
        problems.append("dead_letters: a record was attempted more than once")
    problems += [
        f"dead_letters: the {record.expected} record of {record.topic} was not kept as it was received"
        for record in poison
        if (record.topic, record.value) not in letters and (record.topic, None) not in letters
    ]
    return problems
