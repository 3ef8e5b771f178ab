"""Errors with messages for people, one class for each kind of reaction."""

from sqlalchemy.exc import DBAPIError


class ReelsyncError(Exception):
    """An error whose message is meant for people: what is wrong, where, and what to do."""

    sqlstate: str | None = None
    """The SQLSTATE of the database's error that it explains, if it explains one."""
    exit_code = 1
    """Of a command that it ends: 2 if the command line or the settings are wrong."""


class FencedError(ReelsyncError):
    """Another owner has the partition, or the batch belongs to an earlier assignment. The batch must be dropped."""


class UnavailableError(ReelsyncError):
    """A server does not answer now, and may later."""


class KafkaFailedError(ReelsyncError):
    """A request to the brokers failed, and may succeed later."""


class GroupRefusedError(KafkaFailedError):
    """The brokers do not let us into the group. An operator may change that, or another member that leaves."""


class MisconfiguredError(ReelsyncError):
    """A server and our settings do not fit. At the start waiting does not help; later it is treated like an outage."""


class WrongPortError(MisconfiguredError):
    """Another server listens where ours should: the setting that names the port is wrong."""

    exit_code = 2


class HaltedError(ReelsyncError):
    """The consumer must stop until an operator has looked at it."""


_REFUSED_BY_A_POOLER = "08P01"


def is_fatal(error: BaseException) -> bool:
    """Whether the server, or a pooler, ended the connection with it: no trigger or function can raise such an error."""
    return getattr(_of_the_driver(error), "severity", None) == "FATAL"


def refuses_parameters(error: BaseException) -> bool:
    """Whether a pooler refused the connection for its startup parameters, which waiting does not change."""
    return bool(getattr(_of_the_driver(error), "refuses_parameters", False))


def _of_the_driver(error: BaseException) -> BaseException | None:
    return error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error
