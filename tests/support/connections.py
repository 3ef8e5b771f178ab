"""Connections to brokers that this process has open."""

import gc
from collections.abc import Collection

from aiokafka.conn import AIOKafkaConnection

from tests.support.running import eventually


def open_connections() -> list[AIOKafkaConnection]:
    """All that are connected, of clients that are used and of those that nobody has any more."""
    return [found for found in gc.get_objects() if isinstance(found, AIOKafkaConnection) and found.connected()]


async def until_closed(before: Collection[AIOKafkaConnection], what: str) -> None:
    """Wait until no connection is open that was not before."""

    async def all_closed() -> bool:
        return not [left for left in open_connections() if left not in before]

    await eventually(all_closed, what, 10)
