"""The addresses in `bootstrap_servers`. Pure. No message quotes what was refused: it may hold a password."""

import re
from typing import NamedTuple

DEFAULT_PORT = 9092

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]+))(?::(?P<port>[^:]*))?")
_HIGHEST_PORT = 65_535


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def addresses_of(servers: str) -> list[Address]:
    """The addresses in a comma-separated list; without a port, Kafka's own.

    Raises:
        ValueError: one is no address; says which, by its number.
    """
    return [_address(number, server.strip()) for number, server in enumerate(servers.split(","), start=1)]


def _address(number: int, server: str) -> Address:
    which = f"its address {number}"
    if "://" in server:
        raise ValueError(f"{which} has a scheme: give host:port alone, such as localhost:9092")
    if "@" in server:
        raise ValueError(
            f"{which} has an @: user and password go into REELSYNC_KAFKA__SASL_USERNAME and …SASL_PASSWORD"
        )
    found = _ADDRESS.fullmatch(server)
    if not found:
        raise ValueError(f"{which} is not of the form host:port, such as localhost:9092")
    port = found["port"]
    if port is None:
        return Address(found["ipv6"] or found["host"], DEFAULT_PORT)
    if not (port.isascii() and port.isdecimal()) or not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(f"{which} has a port that is not a number from 1 to {_HIGHEST_PORT:,}")
    return Address(found["ipv6"] or found["host"], int(port))
