"""A topic on the brokers of the tier, without any database."""

import secrets
from collections.abc import AsyncIterator

import pytest

from reelsync.testing.settings import settings_for
from tests.services.contract import Broker

from .brokers import BrokersRig


@pytest.fixture
async def rig(broker: Broker) -> AsyncIterator[BrokersRig]:
    topic = f"contract-{secrets.token_hex(4)}"
    settings = settings_for(
        bootstrap_servers=broker.bootstrap_servers,
        database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none",
        topics={topic: "video"},
    )
    async with BrokersRig(settings.kafka, broker) as rig:
        yield rig
