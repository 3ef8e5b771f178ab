"""Why the brokers do not let a member into its group, where waiting does not change that by itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    for_code,
)

from reelsync.consumer.errors import GroupRefusedError, KafkaFailedError
from reelsync.consumer.settings import KafkaSettings


class GroupFullError(KafkaError):
    """The group has as many members as the brokers allow. aiokafka does not know this error."""

    errno = 81
    retriable = False


def error_of(code: int) -> type[KafkaError]:
    """The error that a coordinator answers with."""
    error: type[KafkaError] = GroupFullError if code == GroupFullError.errno else for_code(code)
    return error


_REFUSALS: Mapping[type[Exception], str] = {
    InconsistentGroupProtocolError: "another program is a member of group {group}, with another assignor or with the "
    "new protocol of Kafka (group.protocol=consumer): give one of them another group (REELSYNC_KAFKA__GROUP_ID); "
    "`reelsync check` says where the members run",
    GroupAuthorizationFailedError: "the user may not be a member of group {group}: grant Read (`kafka-acls.sh --add "
    "--operation Read --group {group} --allow-principal …`)",
    InvalidSessionTimeoutError: "the brokers do not allow a session timeout of {session_timeout} ms: set "
    "REELSYNC_KAFKA__SESSION_TIMEOUT_MS between their group.min.session.timeout.ms and group.max.session.timeout.ms",
    GroupFullError: "group {group} has as many members as the brokers' group.max.size allows: end some, or raise it",
    InvalidGroupIdError: "the brokers do not take {group} as the name of a group: see REELSYNC_KAFKA__GROUP_ID",
}


@contextmanager
def translated(settings: KafkaSettings) -> Iterator[None]:
    """Translate the errors of a member of the group.

    Raises:
        GroupRefusedError: the brokers do not let it in; says why, and what to do.
        KafkaFailedError: something else failed.
    """
    try:
        yield
    except (KafkaError, ConsumerStoppedError) as error:
        sentence = _REFUSALS.get(type(error))
        if sentence is None:
            raise KafkaFailedError(type(error).__name__) from error
        asked = {"group": settings.group_id, "session_timeout": settings.session_timeout_ms}
        raise GroupRefusedError(sentence.format(**asked)) from error
