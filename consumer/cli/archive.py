"""`reelsync archive`."""

from pathlib import Path

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.archive.archiving import Archived, Archiving
from reelsync.consumer.operations.archive.files import opened
from reelsync.consumer.settings import Settings

from .progress import counted
from .terminal import err, load, print_json, run_async


def archive(topic: str, directory: Path, *, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    done = run_async(run_archive(settings, topic, directory))
    gone = [{"partition": place.number, "from": span.start, "to": span.next} for place, span in done.gone.items()]
    if json:
        print_json({"topic": topic, "records": done.records, "segments": done.segments, "gone": gone})
        return
    for place, span in done.gone.items():
        err.print(
            f"{place}: offsets {span.start} to {span.next - 1} were removed from the log before they were archived."
        )
    err.print(f"{done.records:,} records were added, in {done.segments:,} files.")


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
