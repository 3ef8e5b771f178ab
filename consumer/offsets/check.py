"""Whether a stored position still fits the log that it came from. Pure."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from reelsync.consumer.kafka.record_batches import Unreadable
from reelsync.consumer.kafka.survey import Trouble
from reelsync.consumer.records import Anchor, Partition, Span

from .store import Stored

ONE_DATABASE = (
    "start those that are wrong with the REELSYNC_DATABASE__URL of the others, or with another REELSYNC_KAFKA__GROUP_ID"
)
"""What to do about members of one group that write to different databases."""

HaltReason = (
    Literal[
        "retention",
        "truncated",
        "recreated",
        "deleted",
        "other_cluster",
        "other_database",
        "unreadable",
        "open_transaction",
    ]
    | Trouble
)
OF_ANOTHER_LOG = frozenset({"recreated", "truncated", "other_cluster"})
"""Reasons that say that a position is of another log than the present one."""
_PASSES = frozenset({"no_leader", "no_answer"})


class LogState(NamedTuple):
    """The state of a partition at the broker: its first offset, its readable end, and the record at the anchor.

    `anchor` is None when there is no record at the anchor's offset any more, or none arrived in time; a missing record
    is no mismatch. `topic_id` is None if the broker is older than topic ids.
    """

    begin: int
    end: int
    anchor: Anchor | None
    topic_id: str | None = None


class Halt(NamedTuple):
    """Why a partition must not be read from its stored position."""

    reason: HaltReason
    message: str
    unreadable: Span | None = None
    """The range of records that cannot be read, if that is why: from the position that was reached."""

    @property
    def is_for_reset(self) -> bool:
        """Whether the position is to be reset, so that what the log has is read again."""
        return self.reason not in _REMEDIES and self.unreadable is None

    @property
    def is_waiting(self) -> bool:
        """Whether it ends by itself, once a broker is back."""
        return self.reason in _PASSES


def check_position(stored: Stored, log: LogState, cluster_id: str | None) -> Halt | None:
    """Why the partition must be halted; None if reading from the stored position skips and repeats nothing."""
    if stored.cluster_id is not None and cluster_id is not None and stored.cluster_id != cluster_id:
        return Halt("other_cluster", f"the position was stored for cluster {stored.cluster_id}, this is {cluster_id}")
    if stored.next_offset and stored.topic_id and log.topic_id and stored.topic_id != log.topic_id:
        # Not at offset 0: no record of the old topic was applied, and none of the new one would be skipped.
        return Halt(
            "recreated",
            f"the topic was deleted and created again: position {stored.next_offset} is of the topic with id "
            f"{stored.topic_id}, and the id is {log.topic_id} now",
        )
    if stored.next_offset < log.begin:
        lost = log.begin - stored.next_offset
        return Halt(
            "retention",
            f"the position is {stored.next_offset}, the log begins at {log.begin}: up to {lost} records are lost",
        )
    if stored.next_offset > log.end:
        return Halt(
            "truncated",
            f"the position is {stored.next_offset}, the log ends at {log.end}: it was truncated or created again",
        )
    if stored.anchor is not None and log.anchor is not None and stored.anchor != log.anchor:
        return Halt(
            "recreated",
            f"the record at offset {stored.anchor.offset} is not the one that was applied: the log was created again",
        )
    return None


def deleted(partition: Partition) -> Halt:
    """The halt of a partition whose topic does not exist."""
    return Halt("deleted", f"there is no topic {partition.topic} any more: it was deleted")


def unknown(partition: Partition, trouble: Trouble) -> Halt:
    """The halt of a partition of whose log nothing is known."""
    return Halt(trouble, _TROUBLES[trouble].format(partition=partition))


def unreadable(batch: Unreadable, position: int, topic_id: str | None) -> Halt:
    """The halt of a partition at this position, whose next batch of records cannot be unpacked."""
    return Halt("unreadable", str(batch), Span(position, batch.next, topic_id))


def other_database(why: str) -> Halt:
    """The halt of every partition while members of the group write to different databases."""
    return Halt("other_database", why)


def reset_command(partition: Partition, to: str) -> str:
    """The command that sets the position of a halted partition."""
    return f"reelsync offsets reset {partition.topic} {partition.number} --to {to}"


def held_back(first: int, records: int) -> Halt:
    """Why so many offsets from the first one on cannot be read, although they are there."""
    message = f"a producer's transaction that began at offset {first} is open, and {records:,} offsets wait for its end"
    return Halt("open_transaction", message, Span(first, first + records))


def open_transaction(partition: Partition, first: int, records: int) -> str:
    """Why records that are there cannot be read, and what to do about it."""
    halt = held_back(first, records)
    return f"{halt.message}. What to do: {remedy(partition, halt)}"


_TROUBLES: Mapping[Trouble, str] = {
    "no_leader": "{partition} has no leader: no broker that has it is up",
    "no_answer": "the broker that leads {partition} does not answer",
    "not_authorized": "the user of REELSYNC_KAFKA__SASL_USERNAME, or of the certificate, may not read it",
    "changed": "the topic of {partition} was deleted, created again or truncated while it was read",
}
_REMEDIES: Mapping[HaltReason, str] = {
    "deleted": "create the topic again, or remove it from REELSYNC_KAFKA__TOPICS: the consumer never creates a topic",
    "other_database": f"{ONE_DATABASE}; `reelsync check` says where they run",
    "no_leader": "start a broker that has it (`kafka-topics.sh --describe --topic {topic}` names them); it goes on by "
    "itself",
    "no_answer": "see whether that broker is up and can be reached from here; it goes on by itself",
    "not_authorized": "grant Read and Describe (`kafka-acls.sh --add --operation Read --operation Describe --topic "
    "{topic} --allow-principal …`); it goes on by itself",
    "changed": "run the command again, which says what became of it",
    "unreadable": "make a replica the leader that is not damaged (`kafka-leader-election.sh`); `verify` and `rebuild` "
    "read what an archive has of it with --from",
    "open_transaction": "see who the producer is (`kafka-transactions.sh --bootstrap-server … describe-producers "
    "--topic {topic} --partition {number}`); if it is gone, end its transaction (`… abort --topic {topic} --partition "
    "{number} --start-offset {first}`)",
}


def remedy(partition: Partition, halt: Halt) -> str:
    """What to do about a halted partition."""
    if halt.reason == "unreadable" and halt.unreadable:
        return f"to go on without them: {reset_command(partition, f'{halt.unreadable.next} --force --yes')}"
    if halt.reason in _REMEDIES:
        first = halt.unreadable and halt.unreadable.start
        return _REMEDIES[halt.reason].format(topic=partition.topic, number=partition.number, first=first)
    # Nothing that is there is skipped, and what is read again changes no row.
    return reset_command(partition, "earliest")
