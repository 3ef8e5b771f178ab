"""Whether the brokers would let another member into the group, asked without joining it.

To the first request of a new member the coordinator answers with an id to ask again with (KIP-394), once it has looked
at all that it may refuse. The id is given back at once, so no member notices anything.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import MemberIdRequired, NoError, UnsupportedVersionError
from aiokafka.protocol.group import JoinGroupRequest, JoinGroupRequest_v5, LeaveGroupRequest

from reelsync.consumer.settings import KafkaSettings

from . import group_refusals
from .clients import admin_client
from .log import translated
from .neighbours import Neighbours
from .protocol import has

_ANSWER_SECONDS = 10.0


class FirstRequest(JoinGroupRequest):
    """A request to join that only asks for an id. Brokers older than Kafka 2.3 would let the member in at once."""

    def __init__(self, settings: KafkaSettings) -> None:
        assignor = Neighbours(None)
        protocols = [(assignor.name, assignor.metadata(settings.topics).encode())]
        limits = (settings.session_timeout_ms, settings.rebalance_timeout_ms)
        super().__init__(settings.group_id, *limits, "", None, ConsumerProtocol.PROTOCOL_TYPE, protocols)

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """The request in the version that asks for an id.

        Raises:
            UnsupportedVersionError: the broker is too old for it.
        """
        if not has(versions, JoinGroupRequest_v5):
            raise UnsupportedVersionError
        return self.build(JoinGroupRequest_v5)


async def ask_to_join(settings: KafkaSettings) -> None:
    """Ask the coordinator of the group. Brokers that are too old to be asked are not.

    Raises:
        GroupRefusedError: it would refuse; says why, and what to do.
        KafkaFailedError: the brokers did not answer.
    """
    with translated(), group_refusals.translated(settings):
        async with admin_client(settings) as admin, asyncio.timeout(_ANSWER_SECONDS):
            coordinator = await admin.find_coordinator(settings.group_id)
            try:
                answer = await admin._send_request(FirstRequest(settings), coordinator)  # noqa: SLF001
            except UnsupportedVersionError:
                return
            error = group_refusals.error_of(answer.error_code)
            if error in {MemberIdRequired, NoError}:
                leaving = LeaveGroupRequest(settings.group_id, answer.member_id)
                await admin._send_request(leaving, coordinator)  # noqa: SLF001
            else:
                raise error(settings.group_id)
