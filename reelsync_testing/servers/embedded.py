"""Both embedded servers at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from .embedded_broker import EmbeddedBroker
from .embedded_postgres import EmbeddedPostgres


class Services(NamedTuple):
    """The servers that a consumer needs."""

    postgres: EmbeddedPostgres
    broker: EmbeddedBroker


@contextmanager
def embedded_services(*, durable: bool = True) -> Iterator[Services]:
    """PostgreSQL and a broker, started side by side, stopped and removed at the end.

    Args:
        durable: As in EmbeddedPostgres.

    Raises:
        ServiceError: one of them did not start; neither is left running.
    """
    services = Services(EmbeddedPostgres(durable=durable), EmbeddedBroker())
    with ExitStack() as stack:
        for service in services:
            stack.callback(service.stop)
        with ThreadPoolExecutor(max_workers=len(services)) as pool:
            for start in [pool.submit(service.start) for service in services]:
                start.result()
        yield services
