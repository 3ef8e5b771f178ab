"""The declarative base: names of constraints, a safe `repr`, `to_dict`."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import MetaData, inspect
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase

from .mixins import TimestampMixin

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
_LONGEST_SHOWN = 50


class Base(AsyncAttrs, TimestampMixin, DeclarativeBase):
    """The base of all tables. Each has `created_at` and `updated_at` unless it says otherwise."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)

    def __repr__(self) -> str:
        """Class and loaded columns. What is not loaded is left out: a `repr` must never send a query."""
        shown = ", ".join(f"{name}={_shortened(value)}" for name, value in self._loaded_columns())
        return f"{type(self).__name__}({shown})"

    def to_dict(self) -> dict[str, Any]:
        """The loaded columns as values that JSON has: ISO 8601 times, ids and decimals as strings."""
        return {name: _plain(value) for name, value in self._loaded_columns()}

    def _loaded_columns(self) -> list[tuple[str, Any]]:
        state = inspect(self)
        return [(name, state.dict[name]) for name, _ in state.mapper.columns.items() if name in state.dict]


def _shortened(value: object) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return repr(value[: _LONGEST_SHOWN - 1] + "…")
    return repr(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return dict(value)
    return value
