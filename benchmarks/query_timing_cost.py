"""What timing adds to a statement: the same statement on two engines, one of them timed, in turns.

    .venv/bin/python benchmarks/query_timing_cost.py

It uses SQLite in memory, so that no network hides microseconds. The difference is the cost of listeners, metrics and
the check for slow statements; the rest is SQLAlchemy's own. It measures CPU time, and shows the fastest round of each
engine beside the median, because other programs make rounds slower, never faster.
"""

import gc
from statistics import median
from time import process_time

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, Engine, create_engine, text

from reelsync.consumer.timing.query_metrics import QueryMetrics
from reelsync.consumer.timing.query_timing import attach_query_timing
from reelsync.consumer.timing.slow_queries import SlowQueries

STATEMENT = text("SELECT 1")
NAMED = {"query_name": "offsets.read"}
ROUNDS, CALLS = 200, 1_000


def main() -> None:
    """Measure, and print microseconds for a statement."""
    gc.collect()
    gc.disable()
    with plain_engine().connect() as plain, timed_engine().connect() as timed:
        pairs = [(microseconds(plain), microseconds(timed)) for _ in range(ROUNDS)]
    plain_rounds, timed_rounds = zip(*pairs, strict=True)
    for name, figure in (("fastest", min), ("median", median)):
        without, with_timing = figure(plain_rounds), figure(timed_rounds)
        print(f"{name}: {without:.2f} plain, {with_timing:.2f} timed, {with_timing - without:.2f} µs a statement more")


def plain_engine() -> Engine:
    """An engine without timing."""
    return create_engine("sqlite://")


def timed_engine() -> Engine:
    """An engine with everything that `reelsync run` attaches while traces are off."""
    engine, metrics = create_engine("sqlite://"), QueryMetrics(CollectorRegistry())
    attach_query_timing(engine, metrics.query, SlowQueries(metrics.slow))
    return engine


def microseconds(connection: Connection) -> float:
    """Microseconds of CPU time for each call, over many calls."""
    started = process_time()
    for _ in range(CALLS):
        connection.execute(STATEMENT, execution_options=NAMED).close()
    return 1e6 * (process_time() - started) / CALLS


if __name__ == "__main__":
    main()
