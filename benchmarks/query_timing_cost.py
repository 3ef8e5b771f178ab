"""What timing adds to a statement: the same statement on two engines, one of them timed, taking turns.

    .venv/bin/python benchmarks/query_timing_cost.py

SQLite in memory, so that no network hides microseconds. The difference is what listeners, metrics and the look at the
limits of slow statements cost; the rest of a statement here is SQLAlchemy's.
"""

import gc
from statistics import median
from time import perf_counter

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, Engine, create_engine, text

from consumer.query_metrics import QueryMetrics
from consumer.query_timing import attach_query_timing
from consumer.slow_queries import SlowQueries

STATEMENT = text("SELECT 1")
NAMED = {"query_name": "offsets.read"}
ROUNDS, CALLS = 200, 1_000


def main() -> None:
    """Measure, and print microseconds a statement: the medians of the rounds, and of their differences."""
    gc.collect()
    gc.disable()
    with plain_engine().connect() as plain, timed_engine().connect() as timed:
        pairs = [(microseconds(plain), microseconds(timed)) for _ in range(ROUNDS)]
    print(f"plain      {median(one for one, _ in pairs):6.2f} µs a statement")
    print(f"timed      {median(other for _, other in pairs):6.2f} µs a statement")
    print(f"difference {median(other - one for one, other in pairs):6.2f} µs a statement")


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
    started = perf_counter()
    for _ in range(CALLS):
        connection.execute(STATEMENT, execution_options=NAMED).close()
    return 1e6 * (perf_counter() - started) / CALLS


if __name__ == "__main__":
    main()
