"""A simulated PostgreSQL: tables, transactions at READ COMMITTED with row locks, crashes, restores of an older state.

It runs no SQL. `statements.py` says what each named statement of the consumer means.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from reelsync.consumer.records import Partition
from tests.support.scripted import refused_with

from .world import World

Key = tuple[str, Any]
"""A table, and the key of a row in it."""
Row = dict[str, Any]

_LOCK_SECONDS = 10.0
_LINGER_SECONDS = 20.0
"""How long the server may keep a transaction whose client is gone."""


class Attempted:
    """What a transaction tried to write: facts, dead letters, and of other rows the highest version."""

    def __init__(self) -> None:
        self.facts: set[str] = set()
        self.letters: set[tuple[str, int, int]] = set()
        self.versions: dict[Key, int] = {}

    def row(self, key: Key, version: int) -> None:
        """Note a row; placeholders, of version 0, do not count."""
        if version > self.versions.get(key, 0):
            self.versions[key] = version

    def copy(self) -> "Attempted":
        """The same, for a savepoint."""
        other = Attempted()
        other.facts, other.letters, other.versions = {*self.facts}, {*self.letters}, {**self.versions}
        return other


class Moved(NamedTuple):
    """A position that the fence moved: the log that it is of, from where to where."""

    topic_id: str | None
    partition: Partition
    before: int
    after: int


class Committed(NamedTuple):
    """A transaction that was committed: the rows that it replaced, so that the server can go back, and positions."""

    replaced: Mapping[Key, Row | None]
    moved: Sequence[Moved]


class Transaction:
    """One transaction, from its first statement to its end. It holds what it wrote, and locks."""

    def __init__(self, server: "SimulatedPostgres") -> None:
        self.server = server
        self.is_open = True
        self.is_left = False
        """Whether its client is gone, and COMMIT is on its way."""
        self.bisects = False
        """Whether it has savepoints: then it has several statements for a table, and may deadlock."""
        self.own: dict[Key, Row] = {}
        self.attempted = Attempted()
        self.fenced: dict[Any, None] = {}
        """The keys of the positions that it moved by the fence."""
        self.held: list[Key] = []
        self.waits_for: Transaction | None = None

    def read(self, table: str, key: Any) -> Row | None:
        """A row as this transaction sees it."""
        return self.own.get((table, key)) or self.server.tables[table].get(key)

    def spans(self) -> list[Moved]:
        """How far it moves positions by the fence, from where they are."""
        spans = []
        for key in self.fenced:
            before, after = self.server.tables["consumer_offsets"][key], self.own["consumer_offsets", key]
            place = Partition(after["topic"], after["partition"])
            spans.append(Moved(before["topic_id"], place, before["next_offset"], after["next_offset"]))
        return spans

    def write(self, table: str, key: Any, row: Row) -> None:
        """Write a row that is locked."""
        self.own[table, key] = row

    async def lock(self, table: str, key: Any) -> None:
        """Lock a row; wait for whoever has it."""
        place = (table, key)
        locks = self.server.locks
        while (holder := locks.get(place, self)) is not self:
            await self._wait_for(holder)
        if place not in locks:
            locks[place] = self
            self.held.append(place)

    async def _wait_for(self, holder: "Transaction") -> None:
        waiting, last = [self], holder
        while last is not self and last.waits_for is not None:
            waiting.append(last)
            last = last.waits_for
        if last is self:
            if not any(transaction.bisects for transaction in waiting):
                raise self.server.world.violated("batches deadlock that lock their rows in order")
            raise refused_with("40P01")
        self.waits_for = holder
        try:
            async with asyncio.timeout(_LOCK_SECONDS):
                await self.server.ended(holder)
        except TimeoutError:
            raise refused_with("55P03") from None
        finally:
            self.waits_for = None
        if not self.is_open:
            raise ConnectionResetError

    def end(self) -> None:
        """Let go of all locks. What was not committed is gone."""
        if self.is_open:
            self.is_open = False
            for place in self.held:
                del self.server.locks[place]
            self.server.wake(self)


class SimulatedPostgres:
    """The server. `check` is called with each transaction just before it is committed."""

    def __init__(self, world: World, check: Callable[[Transaction], None]) -> None:
        self.world = world
        self.tables: dict[str, dict[Any, Row]] = defaultdict(dict)
        self.locks: dict[Key, Transaction] = {}
        self.open: dict[Transaction, None] = {}
        self.down_until = 0.0
        self.refusals: Counter[str] = Counter()
        """How often each SQLSTATE was the answer since a transaction was committed."""
        self.wasted = 0
        """Transactions of batches that were not committed, or that the fence refused."""
        self.history: list[Committed] = []
        """All transactions since the beginning, but for those that were lost."""
        self._check = check
        self._waiting: dict[Transaction, list[asyncio.Future[None]]] = {}

    @property
    def is_down(self) -> bool:
        """Whether it refuses connections."""
        return self.world.clock.now < self.down_until

    def begin(self) -> Transaction:
        """A new transaction."""
        transaction = Transaction(self)
        self.open[transaction] = None
        return transaction

    def commit(self, transaction: Transaction) -> None:
        """COMMIT, as the server does it."""
        if not transaction.is_open:
            return
        if transaction.own:
            self._check(transaction)
            replaced = {(table, key): self.tables[table].get(key) for table, key in transaction.own}
            self.history.append(Committed(replaced, transaction.spans()))
            for (table, key), row in transaction.own.items():
                self.tables[table][key] = row
            self.refusals.clear()
            self.world.note("committed", *(f"{m.partition} {m.before}-{m.after}" for m in self.history[-1].moved))
        self._close(transaction)

    def roll_back(self, transaction: Transaction) -> None:
        """ROLLBACK."""
        if transaction.is_open:
            self.wasted += bool(transaction.fenced)
            self._close(transaction)

    def leave(self, transaction: Transaction) -> None:
        """The client is gone. The server finds out at once, or after a while, and keeps the locks until then."""
        if transaction.is_open and not transaction.is_left:
            transaction.is_left = True
            if self.world.happens("transaction lingers"):
                seconds = self.world.rng.random() * _LINGER_SECONDS
                self.world.clock.call_later(seconds, self.roll_back, transaction)
            else:
                self.roll_back(transaction)

    def commit_later(self, transaction: Transaction) -> None:
        """The client is gone, and the server commits all the same, after a while."""
        transaction.is_left = True
        seconds = self.world.rng.random() * _LINGER_SECONDS
        self.world.clock.call_later(seconds, self.commit, transaction)

    def crash(self, seconds: float, undo: int = 0) -> None:
        """Break all connections, refuse new ones for so long, and lose the last `undo` transactions."""
        for transaction in [*self.open]:
            self.roll_back(transaction)
        for _ in range(min(undo, len(self.history))):
            for (table, key), row in self.history.pop().replaced.items():
                if row is None:
                    del self.tables[table][key]
                else:
                    self.tables[table][key] = row
        self.down_until = self.world.clock.now + seconds

    async def ended(self, transaction: Transaction) -> None:
        """Wait until a transaction has ended."""
        waiter = self.world.clock.create_future()
        self._waiting.setdefault(transaction, []).append(waiter)
        await waiter

    def wake(self, transaction: Transaction) -> None:
        """Wake those who wait for its locks."""
        for waiter in self._waiting.pop(transaction, ()):
            if not waiter.done():
                waiter.set_result(None)

    def _close(self, transaction: Transaction) -> None:
        del self.open[transaction]
        transaction.end()
