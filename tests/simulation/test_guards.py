"""Negative controls: with one guard off the simulation finds a broken promise, as it would if the guard were lost."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.kafka import log, survey
from reelsync.consumer.offsets.store import Stored, fence, read_positions
from reelsync.consumer.records import Anchor, Partition, Span
from reelsync.consumer.sink.delivery import Deliverer, Outcome
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.source.fetched import taken_of
from reelsync.consumer.source.halts import Halts
from reelsync.consumer.source.kafka_source import KafkaSource
from tests.simulation.consumer import simulated
from tests.simulation.scenario import run_seed

AT_MOST = 1_000


async def move_without_comparing(
    connection: Any, group: str, spans: Mapping[Partition, Span], anchors: Mapping[Partition, Anchor]
) -> None:
    stored = await read_positions(connection, group, spans)
    here = {p: Span(stored[p].next_offset, span.next, stored[p].topic_id) for p, span in spans.items() if p in stored}
    await fence(connection, group, here or spans, anchors)


async def believe_that_it_was_committed(*_: Any) -> Outcome:
    return Outcome.COMMITTED


def do_nothing(*_: Any) -> None:
    return None


def stay_halted(halts: Halts, partition: Partition, stored: Stored) -> bool:
    halt = halts.halted.get(partition)
    return halt is not None and halt.unreadable is not None and stored.next_offset < halt.unreadable.next


def resume_none(_halts: Halts, _positions: Mapping[Partition, Stored]) -> bool:
    return False


async def take_although_it_failed(member: Any, *arguments: Any) -> Any:
    return await taken_of(SimpleNamespace(position=member.position, failures={}), *arguments)


async def ask_about_all_at_once(*asked: Any, soon: bool) -> survey.Survey:
    assert soon
    return await survey.survey(*asked)


def nobody_drains() -> property:
    return property(lambda _source: None, lambda _source, _drain: None)


GUARDS: Mapping[str, Callable[[], Any]] = {
    "the fence": lambda: mock.patch("reelsync.consumer.sink.writer.fence", move_without_comparing),
    "the drain before a rebalance": lambda: mock.patch.object(KafkaSource, "drain", nobody_drains(), create=True),
    "reading positions again": lambda: mock.patch.object(KafkaSource, "forget", do_nothing),
    "forgetting known ids": lambda: mock.patch.object(BatchWriter, "forget", do_nothing),
    "asking what became of a batch": lambda: mock.patch.object(Deliverer, "_outcome", believe_that_it_was_committed),
    "what precedes a corrupt batch": lambda: mock.patch.multiple(
        Halts, is_before_unreadable=stay_halted, resume_earlier=resume_none
    ),
    "what came of a fetch that failed": lambda: mock.patch(
        "reelsync.consumer.source.kafka_source.taken_of", take_although_it_failed
    ),
    "asking about each partition alone": lambda: mock.patch.object(log, "survey", ask_about_all_at_once),
    "going on without a leader that is silent": lambda: mock.patch.object(survey, "_STRAGGLER_SECONDS", 15.0),
    "short waits between attempts": lambda: mock.patch.object(Backoff.__init__, "__defaults__", (0.1, 10.0, 0)),
    "whether a position fits its log": lambda: mock.patch(
        "reelsync.consumer.source.positioning.check_position", do_nothing
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_a_promise_is_broken(guard: str, record_property: Callable[[str, object], None]) -> None:
    with simulated(), GUARDS[guard]():
        found = next((run for seed in range(1, AT_MOST + 1) if (run := run_seed(seed)).violation), None)
    assert found is not None, f"nothing was found in {AT_MOST} seeds"
    record_property("violation", str(found.violation))
