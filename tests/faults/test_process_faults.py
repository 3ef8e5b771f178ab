"""Consumers are killed, stopped and moved about while records flow."""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.faults.campaign import ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.support.running import eventually

UNFENCED = (str(Path(__file__).parent.parent / "integration" / "crashing_consumer.py"), "never", "0", "unfenced")
Take = Callable[[Outcome], None]


async def test_kills_at_random_points(campaign: Campaign, outcomes: Take) -> None:
    with ExitStack() as stack:
        pair = [stack.enter_context(campaign.consumer()) for _ in range(2)]
        for _ in range(ROUNDS):
            async with campaign.flow(400):
                await campaign.progress(campaign.rng.randrange(1, 300))
                victim = campaign.rng.randrange(2)
                pair[victim].kill()
                pair[victim] = stack.enter_context(campaign.consumer())
            await campaign.recover()
    outcomes(await campaign.judge("kill -9 at a random point", ROUNDS))


async def test_workers_of_one_supervisor_are_killed(campaign: Campaign, outcomes: Take) -> None:
    """The supervisor starts others; whoever is left goes on meanwhile."""
    with campaign.consumer("-m", "reelsync.consumer", "run", "--workers", "2") as supervisor:
        await campaign.apply(100)
        for killed in range(ROUNDS):
            async with campaign.flow(400):
                await campaign.progress(campaign.rng.randrange(1, 300))
                os.kill(supervisor.latest("worker.started", "pid", worker=campaign.rng.randrange(1, 3)), signal.SIGKILL)
            await campaign.recover()
            fates = {"worker.ended": killed + 1, "worker.started": killed + 3}
            for event, count in fates.items():
                await eventually(_logged(supervisor, event, count), f"{count} × {event}: {supervisor.said()}")
        supervisor.signal(signal.SIGTERM)
        await eventually(_logged(supervisor, "workers.stopped"), f"all stop cleanly: {supervisor.said()}")
    outcomes(await campaign.judge("kill -9 of workers under --workers 2", ROUNDS))


async def test_an_owner_stopped_in_its_transaction_is_fenced_when_it_wakes(campaign: Campaign, outcomes: Take) -> None:
    with ExitStack() as stack:
        zombie = stack.enter_context(campaign.consumer())
        await campaign.apply(100)
        fenced = 0
        for _ in range(ROUNDS):
            successor = await _stopped_and_succeeded(campaign, zombie, stack)
            await campaign.recover()
            zombie.signal(signal.SIGCONT)
            await eventually(_logged(zombie, "batch.fenced"), f"the woken owner is fenced: {zombie.said()}")
            fenced += zombie.count("batch.fenced")
            zombie.kill()
            zombie = successor
    outcomes(await campaign.judge("SIGSTOP beyond the session timeout", fenced))


async def test_without_the_fence_the_same_stop_doubles(campaign: Campaign) -> None:
    """The negative control: consumers that store positions apart from rows, as most do."""
    with ExitStack() as stack:
        zombie = stack.enter_context(campaign.consumer(*UNFENCED))
        await campaign.apply(100)
        campaign.continue_with(lambda record: record.expected == "not_json")
        await _stopped_and_succeeded(campaign, zombie, stack, *UNFENCED)
        await campaign.recover()
    outcome = await campaign.judge("control: no fence", 1)
    assert outcome.doubled > 0
    assert not outcome.is_clean


async def test_a_storm_of_rebalances(campaign: Campaign, outcomes: Take) -> None:
    joined = 0
    with campaign.consumer(), campaign.consumer():
        for _ in range(ROUNDS):
            with campaign.consumer() as guest:
                async with campaign.flow(300):
                    await eventually(_logged(guest, "partitions.assigned"), f"the guest joins: {guest.said()}")
                joined += 1
                if campaign.rng.random() < 0.5:
                    guest.signal(signal.SIGTERM)
                    await eventually(_logged(guest, "consumer.stopped"), f"the guest leaves: {guest.said()}")
            await campaign.recover()
    outcomes(await campaign.judge("rebalance storm", joined))


async def _stopped_and_succeeded(
    campaign: Campaign, owner: ConsumerProcess, stack: ExitStack, *command: str
) -> ConsumerProcess:
    """Stop the owner at the fence, in its transaction, and start who will take its partitions over."""
    async with campaign.held_back():
        await campaign.publish(300)
        await eventually(campaign.waits_at_the_fence, "the owner is in its transaction")
        owner.signal(signal.SIGSTOP)
        return stack.enter_context(campaign.consumer(*command))


def _logged(process: ConsumerProcess, event: str, count: int = 1) -> Callable[[], object]:
    async def logged() -> bool:
        return process.count(event) >= count

    return logged
