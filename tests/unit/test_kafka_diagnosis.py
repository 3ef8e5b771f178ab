"""Whose failure it is, where Kafka and the database are asked in one go."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from reelsync.consumer.errors import UnavailableError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.settings import KafkaSettings
from reelsync.models import create_engine

NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError(), ConnectionRefusedError()])
async def test_what_kafka_fails_with_is_explained(error: Exception) -> None:
    with pytest.raises(UnavailableError, match=r"no broker answers at 127\.0\.0\.1:1"):
        async with diagnosed(NOBODY):
            raise error


async def test_what_a_database_fails_with_goes_through() -> None:
    engine = create_engine("postgresql+asyncpg://user:password@127.0.0.1:1/database")
    with pytest.raises(OSError, match="Connect call failed"):
        async with diagnosed(NOBODY), asyncio.timeout(30), engine.connect():
            pass
    await engine.dispose()
