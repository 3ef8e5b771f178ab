"""The members of the group, as its coordinator knows them."""

import time
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    for_code,
)

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings

from . import group_refusals
from .clients import CLIENT_ID, admin_client
from .log import translated
from .neighbours import Home, assigned_to, homes_told

_COORDINATOR_SECONDS = 20.0


async def count_members(settings: KafkaSettings) -> int:
    """The number of members of the group in the settings; 0 for a group that nobody has joined.

    A member that ended without leaving counts until its session timeout is over.

    Raises:
        KafkaFailedError: the brokers did not answer, or refused to.
    """
    return len(await _members(settings))


class GroupMember(NamedTuple):
    """A member of the group, as its coordinator knows it."""

    client_id: str
    address: str
    home: Home | None
    """The database that it writes to, if it and the brokers tell."""
    partitions: list[Partition]
    """That it is assigned, if the brokers tell."""

    @property
    def is_foreign(self) -> bool:
        """Whether it is of another program. Some brokers do not tell."""
        return self.client_id not in {"", CLIENT_ID}


async def members_of_group(settings: KafkaSettings) -> list[GroupMember]:
    """The members of the group in the settings.

    Raises:
        KafkaFailedError: the brokers did not answer, or refused to.
    """
    return [
        GroupMember(client, address, next(iter(homes_told(metadata)), None), assigned_to(assignment))
        for _, client, address, metadata, assignment in await _members(settings)
    ]


async def _members(settings: KafkaSettings) -> list[Any]:
    """What the coordinator of the group knows of its members.

    It may have to be waited for: Kafka makes its topic for groups when a new cluster is first asked about one.
    """
    backoff, deadline = Backoff(longest=1.0), time.monotonic() + _COORDINATOR_SECONDS
    with translated(), group_refusals.translated(settings):
        async with admin_client(settings) as admin:
            while True:
                try:
                    return await _members_of(admin, settings.group_id)
                except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                    if time.monotonic() >= deadline:
                        raise
                await backoff.wait()


async def _members_of(admin: AIOKafkaAdminClient, group: str) -> list[Any]:
    (answer,) = await admin.describe_consumer_groups([group])
    ((error_code, _group, _state, _protocol_type, _protocol, members, *_),) = answer.groups
    if error_code:
        raise for_code(error_code)
    return list(members)
