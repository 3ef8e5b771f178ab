"""Timings of an engine, kept for a look."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.timing.query_timing import QueryTiming, attach_query_timing
from reelsync.models.engine import create_engine


class Heard(list[QueryTiming]):
    """Timings, in the order in which they came."""

    @property
    def names(self) -> list[str]:
        return [timing.query_name for timing in self]

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """How often each name came, by how it failed."""
        return Counter((timing.query_name, timing.error_type) for timing in self)

    def of(self, query_name: str) -> list[QueryTiming]:
        return [timing for timing in self if timing.query_name == query_name]


@asynccontextmanager
async def listening(url: str, **options: Any) -> AsyncIterator[tuple[AsyncEngine, Heard]]:
    """An engine whose timings are heard."""
    engine, heard = create_engine(url, **options), Heard()
    attach_query_timing(engine, heard.append)
    try:
        yield engine, heard
    finally:
        await engine.dispose()
