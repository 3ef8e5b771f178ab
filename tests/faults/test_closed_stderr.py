"""Nobody gets what a consumer writes to standard error: its pipe has no reader, its terminal is gone, it is closed."""

import errno
import os
import pty
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.support.running import eventually

Take = Callable[[Outcome], None]
RUN = ("-m", "reelsync.consumer", "run")
WITHOUT_STREAMS = "import os, sys; os.closerange(0, 3); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
"""A program that becomes the one that its arguments name, with all three standard streams closed."""
FOR_PEOPLE = {"REELSYNC_LOG__FORMAT": "console", "TERM": "xterm"}


@contextmanager
def without_reader(campaign: Campaign, *options: str) -> Iterator[ConsumerProcess]:
    reading, writing = os.pipe()
    os.close(reading)
    with campaign.consumer(*RUN, *options, stderr=writing) as consumer:
        os.close(writing)
        yield consumer


@contextmanager
def without_terminal(campaign: Campaign, *options: str) -> Iterator[ConsumerProcess]:
    """Its terminal is closed as soon as it shows something there."""
    ours, theirs = pty.openpty()
    with campaign.consumer(*RUN, *options, stderr=theirs, **FOR_PEOPLE) as consumer:
        os.close(theirs)
        os.read(ours, 1)
        os.close(ours)
        yield consumer


@contextmanager
def without_streams(campaign: Campaign, *options: str) -> Iterator[ConsumerProcess]:
    with campaign.consumer("-c", WITHOUT_STREAMS, *RUN, *options, **FOR_PEOPLE) as consumer:
        yield consumer


def is_lost(consumer: ConsumerProcess) -> bool:
    """Whether nobody gets what the process writes to standard error."""
    stream = Path(f"/proc/{consumer.pid}/fd/2")
    if str(stream.readlink()) == os.devnull:
        return True
    try:
        stream.write_bytes(b"\n")
    except OSError as error:
        return error.errno in {errno.EPIPE, errno.EIO}
    return False


@pytest.mark.parametrize("started", [without_reader, without_terminal, without_streams], ids=lambda f: f.__name__)
async def test_standard_error_is_gone(
    campaign: Campaign, outcomes: Take, tier: str, started: Callable[..., AbstractContextManager[ConsumerProcess]]
) -> None:
    """It works as before, and its exit code says that it stopped cleanly."""
    lost, rounds = 0, FEW_ROUNDS
    for number in range(rounds):
        # After two members have left, the embedded broker may never let the next one in (decision 8).
        with_workers = number == rounds - 1 or (number % 2 == 0 and tier == "containers")
        with started(campaign, *(("--workers", "2") if with_workers else ())) as consumer:
            await campaign.apply(100)
            await campaign.publish(100)
            await campaign.recover()
            lost += is_lost(consumer)
            consumer.signal(signal.SIGTERM)

            async def has_ended(consumer: ConsumerProcess = consumer) -> bool:
                return consumer.exit_code is not None

            await eventually(has_ended, "the consumer stops")
            assert consumer.exit_code == 0
    assert lost == rounds
    outcomes(await campaign.judge(f"standard error gone: {started.__name__.replace('_', ' ')}", lost))
