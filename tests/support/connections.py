"""Connections to brokers that this process has open."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.conn import AIOKafkaConnection

from tests.support.running import eventually


@contextmanager
def watching_connections() -> Iterator[None]:
    """In the block, `open_connections` looks at what is made there alone: before, there are half a million objects."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def open_connections() -> list[AIOKafkaConnection]:
    """All that are connected, of clients that are used and of those that nobody has any more."""
    return [found for found in gc.get_objects() if isinstance(found, AIOKafkaConnection) and found.connected()]


async def until_closed(what: str) -> None:
    """Wait until no connection is open."""

    async def all_closed() -> bool:
        return not open_connections()

    await eventually(all_closed, what, 10)
