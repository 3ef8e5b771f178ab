"""Shows the running consumer: records, rate, lag, dead letters."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reelsync.consumer.observer import Written
from reelsync.consumer.transform.batch import Batch


@dataclass
class Progression:
    """What the consumer has done so far. `observe` is called with every batch."""

    records: int = 0
    events: int = 0
    dead_letters: int = 0
    batches: int = 0
    first_batch_at: float | None = None
    last_commit_at: float = 0.0

    def observe(self, batch: Batch, written: list[Written]) -> None:
        """Count a batch that was committed."""
        now = time.perf_counter()
        if self.first_batch_at is None:
            # The clock starts when the first batch began to be decoded, not when it was done.
            self.first_batch_at = now - sum(seconds for phase, seconds in batch.seconds.items() if phase != "poll")
            self.first_batch_at -= sum(part.write_seconds + part.commit_seconds for part in written)
        self.last_commit_at = now
        self.batches += 1
        self.records += batch.count
        rejected = sum(len(part.rejections) for part in written)
        self.dead_letters += rejected
        self.events += batch.count - rejected

    @property
    def seconds(self) -> float:
        """From the beginning of the first batch to the last commit."""
        return self.last_commit_at - self.first_batch_at if self.first_batch_at is not None else 0.0

    @property
    def rate(self) -> float:
        """Records a second over that time."""
        return self.records / self.seconds if self.seconds else 0.0


@contextmanager
def shown(console: Console, total: int) -> Iterator["Display"]:
    """A progress display that `update` keeps up to date."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s · lag {task.fields[lag]:,} · dead letters {task.fields[dead]:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Display(progress, total)


class Display:
    """The consumer's progress bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._task = progress.add_task("Consuming", total=total, rate=0.0, lag=total, dead=0)

    def update(self, progression: Progression) -> None:
        """Show what has been done."""
        self._progress.update(
            self._task,
            completed=progression.records,
            rate=progression.rate,
            lag=self._total - progression.records,
            dead=progression.dead_letters,
        )
