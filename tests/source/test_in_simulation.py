"""The simulated brokers keep the contract too, and the contract finds what is broken."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from unittest import mock

import pytest

from reelsync.consumer.errors import KafkaFailedError
from reelsync.consumer.source.broker_silence import Silence
from reelsync.consumer.source.kafka_source import KafkaSource

from . import logs, reading, sharing
from .rig import Rig
from .simulated import SimulatedSource, try_simulated

Clause = Callable[[Rig], Awaitable[None]]

SEEDS = range(1, 21)
WITHOUT_SIZES = logs.a_record_larger_than_a_fetch_comes_whole
"""Not tried: simulated fetches have no sizes."""
CLAUSES = [c for c in (*reading.CLAUSES, *sharing.CLAUSES, *logs.CLAUSES) if c is not WITHOUT_SIZES]


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_simulated_brokers_keep_it(clause: Clause) -> None:
    for seed in SEEDS:
        try_simulated(clause, seed)


async def do_nothing(*_: Any) -> None:
    return None


def nobody_drains() -> property:
    return property(lambda _source: None, lambda _source, _drain: None)


def go_on_where_the_client_is(source: KafkaSource, consumer: Any, partition: Any, stored: Any) -> None:
    source._positions[partition] = stored.next_offset
    source._topic_ids[partition] = stored.topic_id
    consumer.resume(partition)


BROKEN: Mapping[Clause, Callable[[], Any]] = {
    reading.reading_begins_where_it_is_stored_whatever_kafka_was_told: lambda: mock.patch.object(
        KafkaSource, "_go_on", go_on_where_the_client_is
    ),
    reading.a_poll_that_fails_has_taken_nothing: lambda: mock.patch.object(SimulatedSource, "leave", do_nothing),
    reading.brokers_that_fall_silent_are_an_error_and_no_empty_log: lambda: mock.patch.object(
        Silence, "waited", return_value=False
    ),
    sharing.partitions_are_drained_before_another_member_reads_them: lambda: mock.patch.object(
        KafkaSource, "drain", nobody_drains(), create=True
    ),
    logs.nothing_is_read_past_an_open_transaction: lambda: mock.patch(
        "tests.simulation.kafka.Log.readable_end", property(lambda log: log.end)
    ),
}


@pytest.mark.parametrize("clause", BROKEN, ids=lambda clause: clause.__name__)
def test_what_is_broken_is_found(clause: Clause) -> None:
    """The negative control: each guard that is off breaks the clause that it is for."""
    with BROKEN[clause](), pytest.raises((AssertionError, TimeoutError, KafkaFailedError)):
        try_simulated(clause, 1)
