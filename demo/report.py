"""The results of the day: SQL of an analyst, and where the consumer spent its time."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.telemetry.metrics import Metrics

_QUERIES = {
    "Videos by status": """
        SELECT COALESCE(status, 'not known yet') AS status, count(*) AS videos,
               round(avg(processing_time)::numeric, 1) AS mean_seconds
          FROM videos WHERE version > 0 AND NOT is_deleted GROUP BY 1 ORDER BY 2 DESC""",
    "Slowest renders": """
        SELECT left(title, 36) AS video, resolution, round(processing_time::numeric, 1) AS seconds
          FROM videos WHERE version > 0 AND NOT is_deleted AND status = 'completed'
         ORDER BY processing_time DESC, id LIMIT 5""",
    "Busiest users": """
        SELECT u.username, count(*) AS videos, COALESCE(sum(c.cost), 0) AS cost_usd
          FROM users u JOIN videos v ON v.user_id = u.id
          LEFT JOIN (SELECT video_id, sum(cost_usd) AS cost FROM model_usage GROUP BY 1) c ON c.video_id = v.id
         WHERE u.version > 0 AND NOT u.is_deleted AND u.username IS NOT NULL AND v.version > 0 AND NOT v.is_deleted
         GROUP BY u.id ORDER BY 2 DESC, 1 LIMIT 5""",
    "Dead letters by reason": """
        SELECT reason, stage, count(*) AS records FROM dead_letters GROUP BY 1, 2 ORDER BY 3 DESC, 1""",
}

Rows = list[dict[str, Any]]


async def read_report(connection: AsyncConnection) -> dict[str, Rows]:
    """The rows of each part of the report."""
    report: dict[str, Rows] = {}
    for title, query in _QUERIES.items():
        found = await connection.execute(text(query), execution_options={"query_name": "report"})
        report[title] = [dict(row) for row in found.mappings()]
    return report


def time_spent(metrics: Metrics) -> dict[str, Rows]:
    """Seconds by phase of the batches, and by statement, as the metrics have them."""
    phases = _sums(metrics, "reelsync_batch_duration_seconds", "phase")
    queries = _sums(metrics, "db_client_operation_duration_seconds", "query_name")
    return {"Time by phase": phases, "Time by statement": queries}


def print_report(console: Console, report: dict[str, Rows]) -> None:
    """The report, as tables."""
    console.print(Group(*(_table(title, rows) for title, rows in report.items() if rows)))


def _sums(metrics: Metrics, name: str, label: str) -> Rows:
    sums: dict[str, dict[str, float]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples if family.name == name else ():
            kind = sample.name.removeprefix(f"{name}_")
            if kind in {"sum", "count"}:
                entry = sums.setdefault(sample.labels[label], {"sum": 0.0, "count": 0.0})
                entry[kind] += sample.value
    rows: Rows = [
        {
            label: key,
            "times": int(entry["count"]),
            "seconds": round(entry["sum"], 2),
            "mean_ms": round(1000 * entry["sum"] / max(1.0, entry["count"]), 2),
        }
        for key, entry in sums.items()
        if entry["count"]
    ]
    return sorted(rows, key=lambda row: -row["seconds"])


def _table(title: str, rows: Iterable[dict[str, Any]]) -> Table:
    listed = list(rows)
    table = Table(title=title, title_justify="left", title_style="bold", min_width=60)
    for column in listed[0]:
        text_column = isinstance(listed[0][column], str)
        table.add_column(column.replace("_", " "), justify="left" if text_column else "right")
    for row in listed:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    return table
