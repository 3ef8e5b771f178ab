"""How PostgreSQL runs a query on 200,000 videos: by which index, and never by reading a table that it need not."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cases import CASES, UNFINISHED, Case, Sample
from filling import BEGIN, Filled, user_id, video_id
from reader import Reader, Sent, reading, run
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import queries

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


async def test_a_page_far_down_costs_what_the_first_does(filled: Filled) -> None:
    """The keyset is a condition of the index: what lies before the position is not read."""
    async with reading(await filled(USERS, VIDEOS)) as reader:
        far = next(case for case in CASES if case.variant == "next page")
        (plan,) = await plans_of(reader, far)
    (scan,) = [node for node in walk(plan) if node.get("Index Name") == "ix_videos_user_id_created_at"]
    assert "created_at" in scan["Index Cond"], json.dumps(plan, indent=1)
    assert not any(node["Node Type"] == "Sort" for node in walk(plan)), "along the index, ties apart"


@pytest.mark.parametrize("name", ["stuck_videos", "users_and_videos_by_status"])
async def test_unfinished_videos_are_found_whatever_the_parameters(
    filled: Filled, name: str
) -> None:
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


async def explain(connection: AsyncConnection, statement: Sent) -> dict[str, Any]:
    await connection.execute(text("SET LOCAL jit = off"))
    found = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.parameters)
    plan = found.scalar_one()
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from walk(child)
