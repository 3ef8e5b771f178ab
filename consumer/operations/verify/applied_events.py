"""What an oracle is to hear of the log: the events that were applied, so no dead letter that is parked or discarded."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.dead_letters.table import headers_of
from reelsync.consumer.records import Record, StoredRecord, record_crc
from reelsync.consumer.transform.decode import Decode, Rejection
from reelsync.events import WireEvent

from .reference import Oracle

_LETTERS = text(
    """
    SELECT topic, partition, "offset", record_timestamp, crc, state, reason, aggregate_id, corrected_aggregate_id,
           corrected_key, corrected_value, corrected_headers
      FROM dead_letters WHERE consumer_group = :consumer_group
    """
)


class Letter(NamedTuple):
    """What is known of a record that became a dead letter."""

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
    """None if it was not corrected, or is blank by now."""


class Hearing:
    """What an oracle is to hear of the log: events that were applied, so no dead letter that is parked or discarded."""

    def __init__(self, decode: Decode, letters: Mapping[tuple[str, int, int], Letter], oracle: Oracle) -> None:
        self.letters = letters
        self.corrected: set[UUID] = set()
        self.unparked: list[Record] = []
        """Records that are no events, and no dead letters either."""
        self._decode = decode
        self._oracle = oracle
        self._parked: list[Record] = []

    @property
    def waiting_for_names(self) -> set[UUID]:
        """Users of whom a name conflict is parked."""
        waiting = (
            letter for letter in self.letters.values() if letter.reason == "conflict" and letter.state == "parked"
        )
        return {letter.aggregate_id for letter in waiting if letter.aggregate_id}

    def hear(self, record: Record) -> None:
        """Take one record in; a letter that is not redriven waits for `hear_redriven`."""
        letter = self._letter_of(record)
        if letter and letter.state != "redriven":
            self._parked.append(record)
            return
        if letter and letter.corrected_aggregate_id and letter.corrected_headers is None:
            self._note_correction(letter)
            return
        event = self._decode(_corrected(record, letter) if letter and letter.corrected_headers is not None else record)
        if not isinstance(event, Rejection):
            self._oracle.hear(event["type"], event["time"], event["data"])
        elif letter is None:
            self.unparked.append(record)
        else:
            self._note_correction(letter)

    def hear_redriven(self) -> None:
        """Hear those that were parked when they were read, and are no longer."""
        parked, self._parked = self._parked, []
        for record in parked:
            self.hear(record)

    def unheard(self) -> Iterator[WireEvent]:
        """What letters that are parked or discarded say by now, as received and as corrected.

        A replay applies the one, if it has become valid since, and a redrive before it may have applied the other; the
        letter stays listed.
        """
        for record in self._parked:
            letter = self._letter_of(record)
            both = [record]
            if letter and letter.corrected_headers is not None:
                both.append(_corrected(record, letter))
            yield from (event for event in map(self._decode, both) if not isinstance(event, Rejection))

    def _note_correction(self, letter: Letter) -> None:
        """Note whose rows a correction changed of which nothing is left; a blank letter without one changed none."""
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
    """What was applied in the place of the record."""
    headers = headers_of(letter.corrected_headers)
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return StoredRecord(*place, letter.corrected_key, letter.corrected_value, headers)
