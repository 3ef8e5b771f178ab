"""The events of the log that the group applied: all valid ones but parked and discarded dead letters."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.dead_letters.table import headers_of
from reelsync.consumer.records import Record, StoredRecord, record_crc
from reelsync.consumer.transform.decode import Decode, Rejection
from reelsync.events import WireEvent

from .spool import Event, EventSpool

_LETTERS = text(
    """
    SELECT topic, partition, "offset", record_timestamp, crc, state, reason, aggregate_id, corrected_aggregate_id,
           corrected_key, corrected_value, corrected_headers
      FROM dead_letters WHERE consumer_group = :consumer_group
    """
)


class Letter(NamedTuple):
    """A record that became a dead letter."""

    timestamp: int
    crc: int
    state: str
    reason: str
    aggregate_id: UUID | None
    corrected_aggregate_id: UUID | None
    """Of a letter that was corrected by hand."""
    corrected_key: bytes | None
    corrected_value: bytes | None
    corrected_headers: list[list[bytes | None]] | None
    """None if it was not corrected, or if the correction was removed since."""


class AppliedEvents:
    """Passes the events of the log that the group applied on to a spool, record by record."""

    def __init__(self, decode: Decode, letters: Mapping[tuple[str, int, int], Letter], spool: EventSpool) -> None:
        self.letters = letters
        self.erased_people: Collection[UUID] = ()
        """The digests of people whom the database remembers as erased."""
        self.corrected: set[UUID] = set()
        self.without_letter: list[Record] = []
        """Records that carry no valid event and have no dead letter either."""
        self._decode = decode
        self._spool = spool
        self._parked: list[Record] = []

    @property
    def waiting_for_names(self) -> set[UUID]:
        """Users who have a parked name conflict."""
        waiting = (
            letter for letter in self.letters.values() if letter.reason == "conflict" and letter.state == "parked"
        )
        return {letter.aggregate_id for letter in waiting if letter.aggregate_id}

    def add(self, record: Record) -> None:
        """Add the event of one record. A record whose letter is not redriven is kept for `add_redriven`."""
        letter = self._letter_of(record)
        if letter and letter.state != "redriven":
            self._parked.append(record)
            return
        if letter and letter.corrected_aggregate_id and letter.corrected_headers is None:
            self._note_correction(letter)
            return
        event = self._decode(_corrected(record, letter) if letter and letter.corrected_headers is not None else record)
        if not isinstance(event, Rejection):
            self._spool.add(Event(event["type"], event["time"], event["data"], record.topic, record.partition))
        elif letter is None:
            self.without_letter.append(record)
        else:
            self._note_correction(letter)

    def add_redriven(self) -> None:
        """Add the events of records whose letters were redriven since the records were read."""
        parked, self._parked = self._parked, []
        for record in parked:
            self.add(record)

    def unapplied(self) -> Iterator[WireEvent]:
        """The events of parked and discarded letters, both as received and as corrected, as far as they are valid now.

        Rows may hold them although their letter is not redriven: a replay applies a record that has become valid since
        it was parked, and an earlier redrive may have applied its correction.
        """
        for record in self._parked:
            letter = self._letter_of(record)
            both = [record]
            if letter and letter.corrected_headers is not None:
                both.append(_corrected(record, letter))
            yield from (event for event in map(self._decode, both) if not isinstance(event, Rejection))

    def _note_correction(self, letter: Letter) -> None:
        """Remember the ids of rows that a correction changed whose content was removed since."""
        if letter.corrected_aggregate_id:
            self.corrected.update(one for one in (letter.aggregate_id, letter.corrected_aggregate_id) if one)

    def _letter_of(self, record: Record) -> Letter | None:
        letter = self.letters.get((record.topic, record.partition, record.offset))
        if letter and (letter.timestamp, letter.crc) == (record.timestamp, record_crc(record)):
            return letter
        return None


async def read_letters(connection: AsyncConnection, group: str) -> dict[tuple[str, int, int], Letter]:
    """All letters of the group, by their places."""
    options = {"query_name": "verify.letters"}
    found = await connection.execute(_LETTERS, {"consumer_group": group}, execution_options=options)
    return {(topic, partition, offset): Letter(*rest) for topic, partition, offset, *rest in found}


def _corrected(record: Record, letter: Letter) -> Record:
    """The correction that was applied instead of the record."""
    headers = headers_of(letter.corrected_headers)
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return StoredRecord(*place, letter.corrected_key, letter.corrected_value, headers)
