"""Rows as the ORM makes them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import Base, ModelUsage, User, Video

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def a_user(name: str = "someone", **columns: Any) -> User:
    return User(**{"id": uuid4(), "username": name, "email": f"{name}@example.com"} | columns)


def usage_of(video: Video, **columns: Any) -> ModelUsage:
    return ModelUsage(
        **{"id": uuid4(), "video": video, "user_id": uuid4(), "model_name": "m", "used_at": LONG_AGO} | columns
    )


async def stored(session: AsyncSession, row: Base) -> Base:
    """The row, as the database has it."""
    await session.commit()
    session.expunge_all()
    return await session.get_one(type(row), inspect(row).identity)


async def count(session: AsyncSession, model: type[Base]) -> int | None:
    return await session.scalar(select(func.count()).select_from(model))
