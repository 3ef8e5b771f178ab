"""`reelsync archive`."""

from pathlib import Path

import typer

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.archive.archiving import Archived, Archiving
from reelsync.consumer.operations.archive.files import opened
from reelsync.consumer.operations.obstacles import INCOMPLETE, documents
from reelsync.consumer.settings import Settings

from .obstacles import complain_of
from .progress import counted
from .terminal import err, load, print_json, run_async


def archive(topic: str, directory: Path, *, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    done = run_async(run_archive(settings, topic, directory))
    gone = [{"partition": place.number, "from": span.start, "to": span.next} for place, span in done.gone.items()]
    if json:
        added = {"topic": topic, "records": done.records, "segments": done.segments}
        print_json(added | {"gone": gone, "not_read": documents(done.obstacles)})
    else:
        for place, span in done.gone.items():
            removed = f"offsets {span.start} to {span.next - 1} were removed from the log before they were archived."
            err.print(f"{place}: {removed}")
        err.print(f"{done.records:,} records were added, in {done.segments:,} files.")
        complain_of(done.obstacles)
    # The next run adds what a transaction held back.
    if any(obstacle.halt.reason != "open_transaction" for obstacle in done.obstacles):
        raise typer.Exit(INCOMPLETE)


async def run_archive(settings: Settings, topic: str, directory: Path) -> Archived:
    """Add what is new.

    Raises:
        ReelsyncError: there is no such topic, the archive is of another one, or the brokers failed.
    """
    log = KafkaLog(settings.kafka)
    async with diagnosed(settings.kafka):
        found = (await log.topics([topic])).get(topic)
        if found is None:
            raise ReelsyncError(f"no such topic, or none that the user may read: {topic}")
        with opened(directory, topic, found.topic_id) as archived:
            archiving = Archiving(log, archived)
            stretches = await archiving.stretches(found.partitions)
            total = sum(span.next - span.start for span in stretches.values())
            with counted("Archiving", total) as archiving.progress:
                return await archiving.run(stretches)
