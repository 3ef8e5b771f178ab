"""The clock of a consumer's machine jumps while records flow: positions and versions come from records, not from it."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.support.running import eventually

Take = Callable[[Outcome], None]
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
DAY = 86_400
JUMPS = (-30 * DAY, -DAY, -3_600, 3_600, DAY, 30 * DAY)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed: apt-get install faketime")


def faked(seconds: Path) -> dict[str, str]:
    """Variables that make a process read a clock that is so many seconds off; the monotonic clock stays right."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(seconds),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def off_by(consumer: ConsumerProcess) -> float:
    """By how many seconds its clock is off, from the last line that it logs."""
    consumer.signal(signal.SIGTERM)

    async def stopped() -> bool:
        return consumer.count("consumer.stopped") > 0

    await eventually(stopped, f"the consumer stops: {consumer.said()}")
    told = datetime.fromisoformat(str(consumer.latest("consumer.stopped", "timestamp")))
    return (told - datetime.now(UTC)).total_seconds()


async def test_the_clock_jumps(campaign: Campaign, outcomes: Take) -> None:
    clock = campaign.directory / "clock"
    clock.write_text("+0")
    seen, rounds = 0, FEW_ROUNDS
    with ExitStack() as stack:
        pair = [stack.enter_context(campaign.consumer(**faked(clock))) for _ in range(2)]
        await campaign.apply(50)
        for number in range(rounds):
            jump = campaign.rng.choice(JUMPS)
            async with campaign.flow(300):
                await campaign.progress(campaign.rng.randrange(1, 200))
                clock.write_text(f"{jump:+d}")
            await campaign.recover()
            seen += abs(await off_by(pair[number % 2]) - jump) < abs(jump) / 2
            pair[number % 2] = stack.enter_context(campaign.consumer(**faked(clock)))
    assert seen == rounds
    outcomes(await campaign.judge("clock jumps", seen))
