"""An archive of a topic in files: compressed JSON Lines, and an index that says what they hold.

`TOPIC/index.jsonl` begins with a line about the topic. Each further line is about a segment: its partition, the offsets
from `start` to `next`, its number of records, and the checksum of its file. A segment counts once its line is there, so
an archive that was cut off at any moment goes on where the last line ends.
"""

import fcntl
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from backports import zstd

from reelsync.consumer.dead_letters.jsonl import header_of, header_shown, received_bytes, shown
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.records import Partition, Record, StoredRecord

_INDEX = "index.jsonl"


class ArchiveError(ReelsyncError):
    """A file of an archive is not as it was written, or is of another topic."""


class Segment(NamedTuple):
    """A file of records. Offsets from `start` to `next` that it does not have were not in the log any more."""

    partition: int
    start: int
    next: int
    records: int
    sha256: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.partition}-{self.start:020}.jsonl.zst"


@dataclass
class TopicArchive:
    """The archive of one topic, in a folder of its own."""

    folder: Path
    topic: str
    topic_id: str | None
    segments: dict[int, list[Segment]] = field(default_factory=lambda: defaultdict(list))
    """By partition, in the order of their offsets."""

    @classmethod
    def read(cls, directory: Path, topic: str) -> "TopicArchive | None":
        """The archive of a topic in this directory; None if there is none.

        Raises:
            ArchiveError: its index cannot be read.
        """
        folder = directory / topic
        try:
            first, *rest = _whole_lines((folder / _INDEX).read_bytes())
            about = orjson.loads(first)
            archive = cls(folder, about["topic"], about["topic_id"])
            for line in rest:
                segment = Segment(**orjson.loads(line))
                archive.segments[segment.partition].append(segment)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise ArchiveError(f"{folder / _INDEX} is damaged: restore it from a copy of the archive") from None
        return archive

    @property
    def partitions(self) -> int:
        """The number of partitions of which there are records."""
        return max(self.segments, default=-1) + 1

    def range_of(self, partition: int) -> tuple[int, int] | None:
        """The first offset and the one after the last; None if nothing of the partition is there."""
        segments = self.segments.get(partition)
        return (segments[0].start, segments[-1].next) if segments else None

    def records(self, segment: Segment) -> Iterator[StoredRecord]:
        """The records of a segment, after its checksum was compared.

        Raises:
            ArchiveError: the file is missing, or is not as it was written.
        """
        path = self.folder / segment.name
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != segment.sha256:
                    raise ArchiveError(f"{path} is not as it was written: restore it from a copy of the archive")
                file.seek(0)
                with zstd.ZstdFile(file) as lines:
                    yield from (_record_of(self.topic, segment.partition, line) for line in lines)
        except (OSError, zstd.ZstdError, ValueError) as error:
            why = f"{path} cannot be read ({type(error).__name__}): restore it from a copy of the archive"
            raise ArchiveError(why) from None

    def add(self, partition: int, start: int, end: int, records: Sequence[Record]) -> Segment:
        """Write a segment, so that it is there after a crash of the machine, and then its line of the index."""
        content = zstd.compress(b"".join(orjson.dumps(_document(record)) + b"\n" for record in records))
        segment = Segment(partition, start, end, len(records), hashlib.sha256(content).hexdigest())
        _write_through(self.folder / segment.name, content, os.O_TRUNC)
        _write_through(self.folder / _INDEX, orjson.dumps(segment._asdict()) + b"\n", os.O_APPEND)
        self.segments[partition].append(segment)
        return segment


@contextmanager
def opened(directory: Path, topic: str, topic_id: str | None) -> Iterator[TopicArchive]:
    """The archive of a topic, to be added to by this process alone. It is made if there is none.

    Raises:
        ArchiveError: it is of an earlier topic of this name, or another process adds to it.
    """
    folder = directory / topic
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    index = folder / _INDEX
    with os.fdopen(os.open(index, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(f"another process adds to {folder}") from None
        content = file.read()
        if b"\n" not in content:
            content = orjson.dumps({"topic": topic, "topic_id": topic_id}) + b"\n"
            file.seek(0)
            file.write(content)
        file.truncate(content.rindex(b"\n") + 1)  # A line that a crash has cut off.
        file.flush()
        os.fsync(file.fileno())
        archive = TopicArchive.read(directory, topic)
        if archive is None or topic_id != archive.topic_id:
            raise ArchiveError(f"{folder} is of an earlier topic of this name: archive into another directory")
        yield archive


def _whole_lines(content: bytes) -> list[bytes]:
    return content[: content.rfind(b"\n") + 1].splitlines()


def _write_through(path: Path, content: bytes, how: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _document(record: Record) -> dict[str, Any]:
    return {
        "offset": record.offset,
        "timestamp": record.timestamp,
        **shown("key", record.key),
        **shown("value", record.value),
        "headers": [header_shown(name, content) for name, content in record.headers],
    }


def _record_of(topic: str, partition: int, line: bytes) -> StoredRecord:
    document = orjson.loads(line)
    headers = tuple(header_of(header) for header in document["headers"])
    place = Partition(topic, partition)
    key, value = received_bytes(document, "key"), received_bytes(document, "value")
    return StoredRecord(*place, document["offset"], document["timestamp"], key, value, headers)
