"""What timing adds to a statement: the same statement on two engines, one of them timed, taking turns.

    .venv/bin/python benchmarks/query_timing_cost.py

SQLite in memory, so that no network hides microseconds. The difference is what listeners, metrics and the look at the
limits of slow statements cost; the rest of a statement here is SQLAlchemy's. Time of the processor, and the fastest
round of each beside the median: what else the machine does makes rounds slower, never faster.
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
    """Measure, and print microseconds a statement."""
    gc.collect()
    gc.disable()
    with plain_engine().connect() as plain, timed_engine().connect() as timed:
        pairs = [(microseconds(plain), microseconds(timed)) for _ in range(ROUNDS)]
    plain_rounds, timed_rounds = zip(*pairs, strict=True)
    for name, figure in (("fastest", min), ("median", median)):
        without, with_timing = figure(plain_rounds), figure(timed_rounds)
        print(f"{name}: {without:.2f} plain, {with_timing:.2f} timed, {with_timing - without:.2f} µs a statement more")


def plain_engine() -> Engine:
    """An engine as it is."""
    return create_engine("sqlite://")


def timed_engine() -> Engine:
    """One with all that `reelsync run` attaches to its own while traces are off."""
    engine, metrics = create_engine("sqlite://"), QueryMetrics(CollectorRegistry())
    attach_query_timing(engine, metrics.query, SlowQueries(metrics.slow))
    return engine


def microseconds(connection: Connection) -> float:
    """For each of many calls."""
    started = process_time()
    for _ in range(CALLS):
        connection.execute(STATEMENT, execution_options=NAMED).close()
    return 1e6 * (process_time() - started) / CALLS


if __name__ == "__main__":
    main()
