"""Lists and pages of many letters read an index, not the table."""

import json
import os

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select, select

from reelsync.consumer.dead_letters.selection import Place, Selection
from reelsync.consumer.dead_letters.table import KEY_COLUMNS, READ_COLUMNS, TABLE

GROUP = "law"
LETTERS = int(os.environ.get("LETTERS", "30000"))
FILL = """
INSERT INTO dead_letters (consumer_group, topic, partition, "offset", record_timestamp, crc, key, value, headers, stage,
                          reason, event_type, aggregate_id, state, first_seen_at, last_attempt_at)
SELECT 'law', 'video-events', n % 12, n, 0, n, 'k', repeat('x', 600)::bytea, '{}', 'validate',
       CASE WHEN n % 1000 = 0 THEN 'not_json' ELSE 'invalid' END, 'video.created', gen_random_uuid(),
       CASE WHEN n % 3 = 0 THEN 'redriven' ELSE 'parked' END, t, t
  FROM (SELECT n, now() - make_interval(secs => n) AS t FROM generate_series(1, CAST(:letters AS int)) AS n) AS s
"""


def _page(selection: Selection) -> Select[tuple[object, ...]]:
    return select(*READ_COLUMNS).where(*selection.conditions(GROUP)).order_by(*KEY_COLUMNS).limit(1_000)


def _latest(selection: Selection) -> Select[tuple[object, ...]]:
    return (
        select(TABLE.c.topic)
        .where(*selection.conditions(GROUP))
        .order_by(TABLE.c.last_attempt_at.desc(), *KEY_COLUMNS)
        .limit(50)
    )


CASES = [
    (_latest(Selection()), "ix_dead_letters_latest"),
    (_latest(Selection(states=())), "ix_dead_letters_latest"),
    (_latest(Selection(reasons=("not_json",))), "ix_dead_letters_"),
    (_page(Selection()), "pk_dead_letters"),
    (_page(Selection(after=Place("video-events", 7, 100))), "pk_dead_letters"),
    (_page(Selection(place=Place("video-events", 7, 7))), "pk_dead_letters"),
    (_page(Selection(unrelayed=True)).limit(200), "dead_letters"),
]


async def test_an_index_is_read(operator: AsyncConnection) -> None:
    await operator.execute(text(FILL), {"letters": LETTERS})
    await operator.execute(text("VACUUM ANALYZE dead_letters"))
    for query, index in CASES:
        options = {"literal_binds": True, "render_postcompile": True}
        statement = str(query.compile(dialect=postgresql.dialect(), compile_kwargs=options))
        plan = json.dumps((await operator.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}")).scalar_one())
        assert "Seq Scan" not in plan, statement
        assert index in plan, statement
