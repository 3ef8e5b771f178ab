"""How PostgreSQL runs a query on 200,000 videos, which had 1,000,000 states.

By which index, and never by reading a table that it need not.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.models import queries
from tests.queries.cases import CASES, OF_USER, UNFINISHED, Case, Sample
from tests.queries.filling import BEGIN, DAYS, Filled, user_id, video_id
from tests.queries.reader import Reader, Sent, reading, run

USERS, VIDEOS = 2_000, 200_000
SAMPLE = Sample(
    ids=[user_id(number) for number in range(601, 701)],
    video_id=video_id(1_000),
    position=queries.VideoPosition(BEGIN.replace(day=20), video_id(1)),
)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_plan(filled: Filled, case: Case) -> None:
    async with reading(await filled(USERS, VIDEOS)) as reader:
        plans = await plans_of(reader, case)
        nodes = [node for plan in plans for node in walk(plan)]
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"].endswith("Seq Scan")}
    assert case.indexes <= used, json.dumps(plans, indent=1)
    assert scanned <= case.scans, json.dumps(plans, indent=1)


async def test_a_page_far_down_reads_no_more_than_itself(filled: Filled) -> None:
    """User 1 has 20,000 videos; the page begins behind half of them."""
    middle = queries.VideoPosition(BEGIN + timedelta(days=DAYS / 2), video_id(1))
    statement = queries.videos_of_user(user_id(1), after=middle, limit=50)
    async with reading(await filled(USERS, VIDEOS)) as reader:
        async with reader.session() as session:
            assert len((await session.scalars(statement)).all()) == 50
        async with reader.engine.connect() as connection:
            plan = await explain(connection, reader.sent[0], "ANALYZE, ")
    (scan,) = [node for node in walk(plan) if "Index Name" in node]
    assert scan["Index Name"] == OF_USER
    assert "created_at" in scan["Index Cond"]
    read = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    # The sort of ties looks ahead in groups of 32 at least.
    assert read < 150, json.dumps(plan, indent=1)


@pytest.mark.parametrize("name", ["stuck_videos", "users_and_videos_by_status"])
async def test_unfinished_videos_are_found_whatever_the_parameters(filled: Filled, name: str) -> None:
    """After five runs PostgreSQL may plan for parameters that it does not know: the status is none of them."""
    case = next(case for case in CASES if case.query == name and case.indexes == {UNFINISHED})
    async with reading(await filled(USERS, VIDEOS)) as reader:
        (sent,) = await statements_of(reader, case)
        async with reader.engine.connect() as connection:
            await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute(f"PREPARE query AS {sent.sql}")
            unknown = ", ".join(["NULL"] * len(sent.parameters))
            found = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE query ({unknown})")
            assert UNFINISHED in str(found.scalar_one())


async def plans_of(reader: Reader, case: Case) -> list[dict[str, Any]]:
    sent = await statements_of(reader, case)
    async with reader.engine.connect() as connection:
        return [await explain(connection, statement) for statement in sent]


async def statements_of(reader: Reader, case: Case) -> list[Sent]:
    async with reader.session() as session:
        reader.sent.clear()
        rows = await run(session, case, SAMPLE)
    assert rows, "a plan for nothing proves nothing"
    return list(reader.sent)


async def explain(connection: AsyncConnection, statement: Sent, options: str = "") -> dict[str, Any]:
    await connection.execute(text("SET LOCAL jit = off"))
    found = await connection.exec_driver_sql(f"EXPLAIN ({options}FORMAT JSON) {statement.sql}", statement.parameters)
    plan = found.scalar_one()
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from walk(child)
