"""Which databases the members of a group write to, as they tell each other when they join.

Positions are in PostgreSQL. Two databases behind one group would each get the records of some partitions, and nothing
else would show it. Kafka gives what members tell to the leader alone, which passes it on with the assignment.
"""

import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from reelsync.consumer.records import Partition

_KEY = "reelsync"
_PLACE_CHARACTERS = 200


class Home(NamedTuple):
    """The database of a member: a digest that no other has, and its address for people, without a login."""

    digest: str
    place: str


class Neighbours(RangePartitionAssignor):
    """Assigns ranges of partitions, and knows the databases of all members since the last assignment.

    Args:
        own: The database of this member; None if it could not find out, and then it tells and compares nothing.
    """

    def __init__(self, own: Home | None) -> None:
        self.own = own
        self._homes: Counter[Home] = Counter()

    @property
    def divided(self) -> str | None:
        """Why nothing must be read, if members of the group write to other databases."""
        return division(self.own, self._homes)

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells when it joins."""
        told = _encoded(Counter([self.own])) if self.own else b""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), told)

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As leader: who reads what, and what all members told."""
        homes: Counter[Home] = Counter()
        for member in members.values():
            homes += _decoded(member.user_data)
        assigned = super().assign(cluster, members)
        return {
            member: ConsumerProtocolMemberAssignment(given.version, given.assignment, _encoded(homes))
            for member, given in assigned.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Note what the leader passed on. A leader of an earlier release passes on nothing."""
        self._homes = _decoded(assignment.user_data)


def division(own: Home | None, homes: Mapping[Home, int]) -> str | None:
    """The sentence about members that write to another database than `own`; None if there are none."""
    others = sorted({home.place: count for home, count in homes.items() if own and home.digest != own.digest}.items())
    if own is None or not others:
        return None
    named = " and ".join(f"{count} to {place}" for place, count in others)
    return f"members of the group write to different databases: this one to {own.place}, {named}"


def homes_told(metadata: bytes) -> Mapping[Home, int]:
    """What a member told when it joined; nothing if it is of another program or of an earlier release."""
    try:
        return _decoded(ConsumerProtocolMemberMetadata.decode(metadata).user_data)
    except (ValueError, struct.error):
        return {}


def assigned_to(assignment: bytes) -> list[Partition]:
    """The partitions of a member, if the brokers tell in the usual form."""
    try:
        decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    except (ValueError, struct.error):
        return []
    return sorted(Partition(topic, number) for topic, numbers in decoded.assignment for number in numbers)


def _encoded(homes: Mapping[Home, int]) -> bytes:
    return json.dumps({_KEY: [[*home, count] for home, count in sorted(homes.items())]}).encode()


def _decoded(told: bytes | None) -> Counter[Home]:
    """Members of other programs may tell anything."""
    try:
        listed = json.loads(told or b"")[_KEY]
        return Counter(
            {Home(str(digest), str(place)[:_PLACE_CHARACTERS]): int(count) for digest, place, count in listed}
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return Counter()
