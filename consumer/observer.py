"""What the path of a batch reports, for metrics, health, the status and traces."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, cast

import structlog

from .transform.batch import Batch
from .transform.decode import Rejection
from .transform.plan import TableName

Activity = Literal["start", "read", "write"]
Server = Literal["postgresql", "kafka"]
RetryReason = Literal["kafka", "outage", "again", "halve", "data"]

_log = structlog.get_logger("reelsync.observer")


@dataclass
class Written:
    """What a transaction did: rows sent and rows changed for each table, and the rejections it parked."""

    sent: dict[TableName, int] = field(default_factory=dict)
    changed: dict[TableName, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    write_seconds: float = 0.0
    commit_seconds: float = 0.0

    def count(self, table: TableName, sent: int, changed: int) -> None:
        """Add one statement's rows."""
        self.sent[table] = self.sent.get(table, 0) + sent
        self.changed[table] = self.changed.get(table, 0) + changed


class Failure(NamedTuple):
    """An attempt that failed and will be made again. `outage`: a server is away, so that waiting is all there is."""

    description: str
    reason: RetryReason
    server: Server
    outage: bool


class Observer(Protocol):
    """Takes note of what happens to batches. No method waits."""

    def attempt_failed(self, activity: Activity, failure: Failure) -> None:
        """Reading or writing failed, and will be tried again."""

    def retry_scheduled(self, activity: Activity, seconds: float) -> None:
        """The next attempt begins in so many seconds."""

    def recovered(self, activity: Activity) -> None:
        """An attempt succeeded, or no further one is needed."""

    def rebalanced(self) -> None:
        """The group was given a new assignment."""

    def kafka_commit_failed(self) -> None:
        """An advisory commit to Kafka failed."""

    def batch_fenced(self) -> None:
        """A batch was refused, because its partitions have another owner."""

    def writing(self, batch: Batch) -> AbstractContextManager[object]:
        """Entered for as long as the batch is being written, in the task that writes it."""

    def batch_committed(self, batch: Batch, written: list[Written]) -> None:
        """The batch was committed, in one transaction or in several."""


def safe_observer(observer: Observer, count_error: Callable[[], None]) -> Observer:
    """The same observer, none of whose errors reaches the path: each is logged, and `count_error` is called."""
    return cast("Observer", _SafeObserver(observer, count_error))


class _SafeObserver:
    def __init__(self, observer: Observer, count_error: Callable[[], None]) -> None:
        self._observer = observer
        self._count_error = count_error

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Each method of the observer, except for `writing`."""

        def contained(*arguments: Any) -> None:
            with self._contained(name):
                getattr(self._observer, name)(*arguments)

        return contained

    @contextmanager
    def writing(self, batch: Batch) -> Iterator[None]:
        """An error of the batch goes through the observer's context and on."""
        with ExitStack() as entered:
            with self._contained("writing"):
                context = self._observer.writing(batch)
                context.__enter__()
                entered.push(self._exit_of(context))
            yield

    def _exit_of(
        self, context: AbstractContextManager[object]
    ) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], bool]:
        def leave(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
            try:
                context.__exit__(kind, error, trace)
            except Exception as raised:  # noqa: BLE001 - whatever it is, it must not reach the path
                if raised is not error:
                    self._report("writing", raised)
            return False

        return leave

    @contextmanager
    def _contained(self, call: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the path
            self._report(call, error)

    def _report(self, call: str, error: Exception) -> None:
        self._count_error()
        _log.error("observer.failed", call=call, error=type(error).__name__, exc_info=error)
