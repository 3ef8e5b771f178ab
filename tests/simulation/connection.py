"""The simulated server in the place of SQLAlchemy's engine: connections, each statement of which may fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import make_url

from tests.support.scripted import refused_with

from .postgres import SimulatedPostgres, Transaction
from .statements import STATEMENTS, Rows
from .world import World

_TRANSIENT = ("40001", "57014", "53200", "57P01", "25006")
"""Errors that come and go: to be tried again, in halves, or after the outage."""


class SimulatedEngine:
    """As much of an AsyncEngine as the consumer uses."""

    url = make_url("postgresql+asyncpg://simulated/reelsync")

    def __init__(self, postgres: SimulatedPostgres) -> None:
        self._postgres = postgres

    def connect(self) -> "SimulatedConnection":
        """A connection; what was not committed is rolled back at the end."""
        return SimulatedConnection(self._postgres)

    def begin(self) -> "SimulatedConnection":
        """A connection whose transaction is committed at the end."""
        return SimulatedConnection(self._postgres, commits=True)


class SimulatedConnection:
    """As much of an AsyncConnection as the consumer uses. BEGIN comes with the first statement."""

    def __init__(self, postgres: SimulatedPostgres, *, commits: bool = False) -> None:
        self._postgres = postgres
        self._world: World = postgres.world
        self._commits = commits
        self._transaction: Transaction | None = None

    async def __aenter__(self) -> Self:
        await self._world.step("connect")
        if self._postgres.is_down:
            raise ConnectionRefusedError
        if self._world.happens("connection refused"):
            raise refused_with("53300")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._commits and kind is None:
                await self.commit()
        except BaseException:
            await self.invalidate()
            raise
        if kind is None:
            self.close()
        else:
            await self.invalidate()

    async def execute(self, _statement: Any, parameters: Any = None, *, execution_options: dict[str, str]) -> Rows:
        """Run a statement, which is known by the name that it has for metrics."""
        name = execution_options["query_name"]
        await self._world.step(name)
        if self._transaction is None:
            if self._postgres.is_down:
                raise ConnectionResetError
            self._transaction = self._postgres.begin()
        if not self._transaction.is_open:
            raise refused_with("57P01")
        if self._world.happens("connection lost"):
            raise ConnectionResetError
        if self._world.happens("statement refused"):
            raise self._refused(self._world.rng.choice(_TRANSIENT))
        try:
            rows = await STATEMENTS[name](self._transaction, parameters)
        except Exception as error:
            self._note(error)
            raise
        await self._world.thaw()
        return rows

    async def scalar(self, statement: Any, parameters: Any = None, *, execution_options: dict[str, str]) -> Any:
        """The only value."""
        return (await self.execute(statement, parameters, execution_options=execution_options))[0]

    async def scalars(self, statement: Any, parameters: Any = None, *, execution_options: dict[str, str]) -> Rows:
        """The only column of each row."""
        return await self.execute(statement, parameters, execution_options=execution_options)

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        """A savepoint. Its locks are kept until the end of the transaction."""
        await self._world.step("savepoint")
        transaction = self._transaction
        assert transaction is not None
        transaction.bisects = True
        own, attempted = dict(transaction.own), transaction.attempted.copy()
        try:
            yield
        except Exception:
            transaction.own, transaction.attempted = own, attempted
            raise

    async def commit(self) -> None:
        """COMMIT. Whether it was done is not known if its answer does not come."""
        await self._world.step("commit")
        transaction = self._transaction
        if transaction is None:
            return
        if not transaction.is_open or self._world.happens("connection lost"):
            raise ConnectionResetError
        if self._world.happens("late COMMIT"):
            self._postgres.commit_later(transaction)
            raise ConnectionResetError
        self._postgres.commit(transaction)
        if self._world.happens("reply to COMMIT lost"):
            raise ConnectionResetError
        await self._world.step("committed")

    async def invalidate(self) -> None:
        """Drop the connection."""
        if self._transaction is not None:
            self._postgres.leave(self._transaction)

    def close(self) -> None:
        """Give the connection back, which rolls back what was not committed."""
        if self._transaction is not None and not self._transaction.is_left:
            self._postgres.roll_back(self._transaction)

    def _refused(self, state: str) -> Exception:
        return refused_with(state)

    def _note(self, error: Exception) -> None:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if state is not None:
            self._postgres.refusals[state] += 1
            self._world.note("refused", state)
