"""The same promise through PgBouncer, in both modes: kills, and an owner that stops in the middle of a transaction."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.faults.campaign import ROUNDS, Campaign
from tests.faults.effects import install_effects
from tests.faults.outcomes import Outcome
from tests.support.pgbouncer import MODES, PgBouncer, pgbouncer
from tests.support.running import eventually

Take = Callable[[Outcome], None]
IDLE_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'reelsync_run' "
    "AND state = 'idle in transaction' AND clock_timestamp() - state_change > interval '0.5 s'"
)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pooler(mode: str, database: str) -> Iterator[PgBouncer]:
    with pgbouncer(mode, database) as started:
        yield started


@pytest.fixture
async def campaign(
    mode: str, pooler: PgBouncer, database: str, small_batches: Settings, operator: AsyncConnection, tmp_path: Path
) -> Campaign:
    await install_effects(operator)
    through = {"url": SecretStr(pooler.before(database)), "pooler": mode}
    settings = small_batches.model_copy(update={"database": small_batches.database.model_copy(update=through)})
    return Campaign(settings, operator, tmp_path)


async def test_kills_behind_a_pooler(campaign: Campaign, outcomes: Take, mode: str) -> None:
    with ExitStack() as stack:
        victim = stack.enter_context(campaign.consumer())
        stack.enter_context(campaign.consumer())
        for _ in range(ROUNDS):
            async with campaign.flow(400):
                await campaign.progress(campaign.rng.randrange(1, 300))
                victim.kill()
                victim = stack.enter_context(campaign.consumer())
            await campaign.recover()
    outcomes(await campaign.judge(f"kill -9 behind PgBouncer, {mode} mode", ROUNDS))


async def test_the_limits_end_the_transaction_of_a_stopped_owner_behind_a_pooler(
    campaign: Campaign, outcomes: Take, mode: str
) -> None:
    """Nothing else does: the owner's connection to the pooler stays open while it is stopped."""
    database = campaign.settings.database.model_copy(update={"statement_timeout": 20.0, "lock_timeout": 20.0})
    campaign.settings = campaign.settings.model_copy(update={"database": database})
    with ExitStack() as stack:
        owner = stack.enter_context(campaign.consumer())
        await campaign.apply(100)
        async with campaign.held_back():
            await campaign.publish(300)
            await eventually(campaign.waits_at_the_fence, "the owner is in its transaction")
            owner.signal(signal.SIGSTOP)
        await eventually(_idle_transactions(campaign, least=1), "the stopped owner holds its locks")
        stack.enter_context(campaign.consumer())
        await eventually(_idle_transactions(campaign, most=0), "the server ends the stopped owner's transaction")
        await campaign.recover()
        owner.signal(signal.SIGCONT)
        await campaign.apply(100)
    outcomes(await campaign.judge(f"SIGSTOP behind PgBouncer, {mode} mode", 1))


def _idle_transactions(campaign: Campaign, least: int = 0, most: int = 1) -> Callable[[], object]:
    async def is_so() -> bool:
        return least <= int(await campaign.operator.scalar(text(IDLE_IN_TRANSACTION)) or 0) <= most

    return is_so
