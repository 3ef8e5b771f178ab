"""What members of a group tell each other about their databases, without a broker."""

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from reelsync.consumer.kafka.neighbours import Home, Neighbours, homes_told

ONE, OTHER = Home("1", "db1:5432/reelsync"), Home("2", "db2:5432/reelsync")


class Cluster:
    """Two partitions of every topic."""

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0, 1}


def divided(*homes: Home | None) -> list[str | None]:
    """What each member says after the first of them has assigned the partitions."""
    members = {str(number): Neighbours(home) for number, home in enumerate(homes)}
    told = {name: member.metadata(["video-events"]) for name, member in members.items()}
    # As it travels.
    told = {name: ConsumerProtocolMemberMetadata.decode(metadata.encode()) for name, metadata in told.items()}
    assigned = members["0"].assign(Cluster(), told)
    assert {tp.partition for given in assigned.values() for tp in given.partitions()} == {0, 1}
    for name, member in members.items():
        member.on_assignment(assigned[name])
    return [member.divided for member in members.values()]


def test_members_with_one_database_are_not_divided() -> None:
    assert divided(ONE, ONE, ONE._replace(place="pooler:6432/reelsync")) == [None, None, None]


def test_every_member_of_a_divided_group_says_to_where_it_and_the_others_write() -> None:
    first, second, third = divided(ONE, OTHER, OTHER)
    assert (
        first
        == "members of the group write to different databases: this one to db1:5432/reelsync, 2 to db2:5432/reelsync"
    )
    assert (
        second
        == third
        == "members of the group write to different databases: this one to db2:5432/reelsync, 1 to db1:5432/reelsync"
    )


def test_members_of_an_earlier_release_tell_nothing_and_divide_nothing() -> None:
    assert divided(None, ONE) == [None, None]


@pytest.mark.parametrize(
    "told", [b"", b"{", b"[]", b'{"reelsync": 1}', b'{"reelsync": [[1]]}', b'{"reelsync": [["a", "b", "c"]]}', b"\xff"]
)
def test_what_other_programs_tell_is_ignored(told: bytes) -> None:
    metadata = ConsumerProtocolMemberMetadata(0, ["t"], told).encode()
    assert homes_told(metadata) == {}
    assert homes_told(metadata[:5]) == {}
