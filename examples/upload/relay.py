"""What carries the outbox to Kafka: in order, at least once.

One relay is at work at a time, however many run: the others stand by until it is gone. Relays that shared the rows with
FOR UPDATE SKIP LOCKED would be faster, and could send two events of one video in the wrong order. Rows are found
because they are there, not by a position that was reached: positions are drawn before COMMIT, so a lower one may show
up later.
"""

import asyncio
import logging
import random
from contextlib import suppress
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from examples.upload.tables import Outbox, Video
from reelsync.events.publishing import DeliveryError, deliver
from reelsync.events.publishing.delivery import AnyProducer

_AT_ONCE = 500
_IDLE_SECONDS = 0.2
_LONGEST_SECONDS = 30.0
_WE_ARE_THE_RELAY = text("SELECT pg_try_advisory_xact_lock(hashtext('upload.outbox'))")

_log = logging.getLogger(__name__)


async def relay(engine: AsyncEngine, producer: AnyProducer) -> int:
    """Send up to 500 waiting records, and delete them once acknowledged. Returns how many; 0 if another relay works.

    Videos remember where their latest event is, for those who wait until it is applied.

    A crash between sending and deleting sends the same bytes again. Readers must ignore that by the event's id or
    version, as reelsync does.

    Raises:
        DeliveryError: the brokers did not acknowledge all; all stay, to be sent again in order.
    """
    async with AsyncSession(engine) as session, session.begin():
        if not await session.scalar(_WE_ARE_THE_RELAY):
            return 0
        waiting = (await session.scalars(select(Outbox).order_by(Outbox.position).limit(_AT_ONCE))).all()
        if waiting:
            for sent, row in zip(await deliver(producer, [row.record() for row in waiting]), waiting, strict=True):
                place = f"{sent.topic}/{sent.partition}/{sent.offset}"
                await session.execute(update(Video).where(Video.id == UUID(row.key.decode())).values(place=place))
            await session.execute(delete(Outbox).where(Outbox.position.in_([row.position for row in waiting])))
        return len(waiting)


async def waiting(engine: AsyncEngine) -> int:
    """How many records wait. Alert on it, because it grows while the relay or the brokers are down."""
    async with AsyncSession(engine) as session:
        return await session.scalar(select(func.count()).select_from(Outbox)) or 0


async def relay_until(stop: asyncio.Event, engine: AsyncEngine, producer: AnyProducer) -> None:
    """Relay until `stop`; what PostgreSQL or the brokers refuse is logged, and tried again after a growing wait."""
    failures = 0
    while not stop.is_set():
        wait = 0.0
        try:
            if not await relay(engine, producer):
                wait = _IDLE_SECONDS
            failures = 0
        except (DeliveryError, SQLAlchemyError, OSError) as error:
            failures += 1
            wait = pause(failures)
            # Of what is not ours the class alone: SQLAlchemy's messages have parameters in them, which are payloads.
            what = error if isinstance(error, DeliveryError) else type(error).__name__
            _log.warning("not relayed, attempt %d, again in %.1f s: %s", failures, wait, what)
        if wait:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)


def pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row: at most half a minute, and different for each relay."""
    return random.uniform(0.1, min(_LONGEST_SECONDS, _IDLE_SECONDS * 2 ** min(failures, 30)))  # noqa: S311 - jitter
