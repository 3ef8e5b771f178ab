"""aiokafka keeps the contract, on real brokers."""

from collections.abc import Awaitable, Callable

import pytest

from . import logs, reading, sharing
from .brokers import BrokersRig
from .rig import Rig

NEEDS = {
    logs.aborted_records_and_markers_are_passed: "has no transactional producers",
    logs.a_log_of_aborted_records_alone_is_passed: "has no transactional producers",
    logs.nothing_is_read_past_an_open_transaction: "has no transactional producers",
    logs.a_position_in_a_gap_is_read_from_the_next_record_on: "does not compact",
    logs.a_log_that_loses_the_position_while_it_is_read_halts_alone: "deletes no records",
}
CLAUSES = [
    pytest.param(
        clause,
        id=clause.__name__,
        marks=[pytest.mark.apache_kafka(because=NEEDS[clause])] if clause in NEEDS else [],
    )
    for clause in (*reading.CLAUSES, *sharing.CLAUSES, *logs.CLAUSES)
]


@pytest.mark.parametrize("clause", CLAUSES)
async def test_aiokafka_keeps_it(clause: Callable[[Rig], Awaitable[None]], rig: BrokersRig) -> None:
    await clause(rig)
