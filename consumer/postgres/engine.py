"""Engines as the settings describe them."""

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.settings import DatabaseSettings
from reelsync.consumer.settings.passwords import database_password
from reelsync.models.engine import create_engine

_A_DAY = 86_400.0


def engine_of(settings: DatabaseSettings, search_path: str | None = None) -> AsyncEngine:
    """An engine as the settings describe it; a `search_path` counts more than their schema.

    It does not test connections: a failed batch is tried again anyway.
    """
    return create_engine(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=settings.pool_recycle,
        pool_pre_ping=False,
        connect_timeout=settings.connect_timeout,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
        idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
        search_path=search_path or (f'"{settings.schema_name}"' if settings.schema_name else None),
        pooler=settings.pooler,
        password=database_password(settings),
    )


def patient_engine_of(settings: DatabaseSettings, search_path: str | None = None) -> AsyncEngine:
    """An engine for work on whole tables: a statement may take a day, and so may a transaction that waits for Kafka."""
    patience = {"statement_timeout": _A_DAY, "idle_in_transaction_timeout": _A_DAY}
    return engine_of(settings.model_copy(update=patience), search_path)
