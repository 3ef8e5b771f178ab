"""A consumer reaches the limit of its memory in a backlog of large records, and ends; another one goes on."""

import re
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.support.memory_limits import MemoryGroup, limit_addresses, may_make_groups
from tests.support.running import eventually

Take = Callable[[Outcome], None]


@contextmanager
def no_address_left(consumer: ConsumerProcess) -> Iterator[None]:
    """It gets a MemoryError, and ends; or code in C meets the limit first, and does not survive it.

    With which words a process ends that gets one is tested in tests/workers/test_out_of_memory.py.
    """
    limit_addresses(consumer.pid)
    yield
    assert consumer.exit_code in {1, -signal.SIGSEGV, -signal.SIGABRT}, consumer.said()
    if consumer.exit_code == 1:
        assert re.search("MemoryError|not enough memory|SystemError", consumer.said())


@contextmanager
def killed_by_the_kernel(consumer: ConsumerProcess) -> Iterator[None]:
    """Its control group may have no more memory."""
    with MemoryGroup(f"reelsync-{secrets.token_hex(4)}", 4 << 20) as group:
        group.take(consumer.pid)
        yield
        assert (consumer.exit_code, group.killed()) == (-signal.SIGKILL, 1), consumer.said()


@pytest.mark.parametrize(
    "limited",
    [
        no_address_left,
        pytest.param(
            killed_by_the_kernel,
            marks=pytest.mark.skipif(not may_make_groups(), reason="control groups are made by root"),
        ),
    ],
    ids=lambda limited: limited.__name__,
)
async def test_the_limit_of_memory_is_reached(
    campaign: Campaign, outcomes: Take, limited: Callable[[ConsumerProcess], AbstractContextManager[None]]
) -> None:
    for _ in range(FEW_ROUNDS):
        with campaign.consumer() as consumer:
            await campaign.apply(50)
            with limited(consumer):
                campaign.enlarge(30, 500_000)
                await campaign.publish(200)

                async def has_ended(consumer: ConsumerProcess = consumer) -> bool:
                    return consumer.exit_code is not None

                await eventually(has_ended, "the consumer ends")
        with campaign.consumer():
            await campaign.recover()
    outcomes(await campaign.judge(f"memory limit: {limited.__name__.replace('_', ' ')}", FEW_ROUNDS))
