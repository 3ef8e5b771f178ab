"""An observer that keeps what it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from reelsync.consumer.observer import Activity, Failure, Written
from reelsync.consumer.transform.batch import Batch


@dataclass
class RecordingObserver:
    """What the path told, in order; `committed` holds the batches."""

    calls: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    committed: list[Batch] = field(default_factory=list)
    halted: int = 0

    def attempt_failed(self, activity: Activity, failure: Failure) -> None:
        self.calls.append(f"{activity} failed: {failure.reason}")
        self.failures.append(failure)

    def retry_scheduled(self, activity: Activity, _seconds: float) -> None:
        self.calls.append(f"{activity} retry")

    def recovered(self, activity: Activity) -> None:
        if self.calls[-1:] != [f"{activity} recovered"]:
            self.calls.append(f"{activity} recovered")

    def rebalanced(self) -> None:
        self.calls.append("rebalanced")

    def kafka_commit_failed(self) -> None:
        self.calls.append("kafka commit failed")

    def batch_fenced(self) -> None:
        self.calls.append("fenced")

    @contextmanager
    def writing(self, batch: Batch) -> Iterator[None]:
        self.calls.append(f"writing {batch.count}")
        yield

    def batch_committed(self, batch: Batch, _written: list[Written]) -> None:
        self.calls.append(f"committed {batch.count}")
        self.committed.append(batch)


class Broken(RecordingObserver):
    """Raises in every call, or when it is entered or left."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "__dict__").get("_where"):
            return _fail
        return super().__getattribute__(name)

    @contextmanager
    def writing(self, _batch: Batch) -> Iterator[None]:
        if self._where == "enter":
            _fail()
        yield
        if self._where == "leave":
            _fail()


def _fail(*_arguments: Any) -> Any:
    raise RuntimeError("an observer's own defect")
