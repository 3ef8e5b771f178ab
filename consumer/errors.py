"""What went wrong, by what is to be done about it. Pure.

Database errors are told apart by SQLSTATE, never by class: through asyncpg most arrive as a plain DBAPIError, and an
outage often as a built-in OSError. Source: PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes".
"""


class ReelsyncError(Exception):
    """An error whose message is meant for people: what is wrong, where, and what to do."""


class FencedError(ReelsyncError):
    """Another owner has the partition, or the batch is of an assignment that is over: forget it."""


class UnavailableError(ReelsyncError):
    """A server does not answer now, and may later."""


class MisconfiguredError(ReelsyncError):
    """A server and our settings do not fit: at the start no waiting mends it, later it is waited out like an outage."""


class WrongPortError(MisconfiguredError):
    """Another server listens where ours should: the setting that names the port is wrong."""

    exit_code = 2


class HaltedError(ReelsyncError):
    """The consumer must not go on until somebody has looked."""
