"""Numbers, times and errors in words. Pure."""

import re
from collections.abc import Mapping

from reelsync.consumer.observer import Server

SERVER_NAMES: Mapping[Server, str] = {"postgresql": "PostgreSQL", "kafka": "Kafka"}
WHOLE = 10
"""From here on, decimals are noise."""
_BY_NAME = {
    "ConnectionRefusedError": "connection refused",
    "ConnectionResetError": "connection reset",
    "ConnectionDoesNotExistError": "connection lost",
    "TimeoutError": "no answer in time",
    "gaierror": "the DNS does not know its name",
    "KafkaConnectionError": "no connection",
    "KafkaTimeoutError": "no answer in time",
    "NodeNotReadyError": "no connection",
}
_BY_SQLSTATE = {
    "25006": "it accepts no writes at present: is it a replica?",
    "25P04": "a transaction took longer than its transaction_timeout lets it: raise that for the role",
    "28P01": "it refuses the password",
    "3D000": "there is no such database",
    "40001": "a serialization failure",
    "40P01": "a deadlock",
    "53100": "its disk is full: make room there",
    "53300": "it has too many connections",
    "55P03": "another session holds a lock for too long",
    "57014": "a statement took too long",
    "57P01": "it is shutting down",
    "57P02": "it is recovering from a crash",
    "57P03": "it is starting up or shutting down",
}
"""What errors.describe names, for people. Source: PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes"."""


def in_words(why: str) -> str:
    """The result of `sqlstate.describe` for people, if its SQLSTATE or its class is a frequent one."""
    name, _, rest = why.partition(", ")
    state = re.search(r"SQLSTATE (\w{5})", rest)
    if state and state[1] in _BY_SQLSTATE:
        return f"{_BY_SQLSTATE[state[1]]} (SQLSTATE {state[1]})"
    if name in _BY_NAME:
        return _BY_NAME[name] + (f" ({rest})" if rest else "")
    return why


def rate(per_second: float) -> str:
    """Records per second: `0/s`, `3.4/s`, `1,240/s`."""
    return f"{per_second:,.{0 if per_second >= WHOLE or not per_second else 1}f}/s"


def duration(seconds: float) -> str:
    """Seconds as people say them: `30 ms`, `4.2 s`, `42 s`, `3 min`, `5 h`, `20 days`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for limit, unit, name in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            amount = seconds / unit
            return f"{amount:.1f} {name}" if seconds < WHOLE else f"{amount:.0f} {name}"
    return f"{seconds / 86_400:,.0f} days"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where there is not one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
