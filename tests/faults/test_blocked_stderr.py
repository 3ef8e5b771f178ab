"""Nobody takes what a consumer writes to standard error."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.support.running import eventually

Take = Callable[[Outcome], None]
_WRITE_TO_STDERR = ("1", "0x2")
"""The system call write, and its first argument, of a process that waits in it. On x86-64."""


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends. The block may close the first one."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            try:
                os.close(end)
            except OSError:
                continue


def fill(end: int) -> None:
    """Write to a pipe until no byte more goes in."""
    another = os.open(f"/proc/self/fd/{end}", os.O_WRONLY | os.O_NONBLOCK)
    for size in (4_096, 1):
        try:
            while True:
                os.write(another, b"\n" * size)
        except BlockingIOError:
            continue
    os.close(another)


def empty(end: int) -> None:
    """Read what is in a pipe."""
    another = os.open(f"/proc/self/fd/{end}", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while os.read(another, 65_536):
            pass
    except BlockingIOError:
        os.close(another)


def is_blocked(consumer: ConsumerProcess) -> bool:
    """Whether it waits for somebody to read its standard error."""
    return tuple(Path(f"/proc/{consumer.pid}/syscall").read_text().split()[:2]) == _WRITE_TO_STDERR


async def until_assigned(consumer: ConsumerProcess) -> None:
    async def assigned() -> bool:
        return consumer.count("partitions.assigned") > 0

    await eventually(assigned, f"the group is formed again: {consumer.said()}")


async def test_nobody_reads_standard_error(campaign: Campaign, outcomes: Take) -> None:
    """It stands still in its next line, as if it were stopped; another one takes over, until somebody reads."""
    blocked = 0
    for _ in range(FEW_ROUNDS):
        with ExitStack() as stack:
            reading, writing = stack.enter_context(pipe())
            unread = stack.enter_context(campaign.consumer(stderr=writing))
            await campaign.apply(50)
            fill(writing)
            successor = stack.enter_context(campaign.consumer())

            async def is_stuck(unread: ConsumerProcess = unread) -> bool:
                return is_blocked(unread)

            await eventually(is_stuck, "the consumer waits for its line to be read")
            await campaign.publish(200)
            await until_assigned(successor)
            await campaign.recover()
            blocked += is_blocked(unread)
            empty(reading)
            await campaign.apply(100)
    outcomes(await campaign.judge("standard error blocked", blocked))
