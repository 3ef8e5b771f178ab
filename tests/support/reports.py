"""Reports of a consumer that has nothing to complain of, but for what a test says."""

from dataclasses import replace
from typing import Any

from reelsync.consumer.records import Partition
from reelsync.consumer.status.document import PoolStatus
from reelsync.consumer.status.history import Step
from reelsync.consumer.status.snapshot import Report

NOW = 1_000.0
P0, P1, P2 = (Partition("video-events", number) for number in range(3))


def report(*reading: Partition, lag: int | None = 0, records: int = 0, **given: Any) -> Report:
    """At `NOW`, of a group with three partitions, all of which are at their end."""
    fine = Report(
        at=NOW,
        began=NOW - 100,
        not_live=[],
        not_ready=[],
        schema_verified=True,
        settled=True,
        unsettled_since=None,
        unreachable={},
        backing_off={},
        halted={},
        positions={P0: 10, P1: 20, P2: 30},
        ends={P0: 10, P1: 20, P2: 30},
        reading=frozenset(reading),
        settling=frozenset(),
        open_transactions={},
        lag=lag,
        last_batch=None,
        steps=[Step(int(NOW / 5) - 1, records=records, lag=lag)],
        parked=[],
        pool=PoolStatus(open=2, in_use=1, limit=50, size=20, overflow=0, invalid=0),
        metrics=(),
    )
    return replace(fine, **given)
