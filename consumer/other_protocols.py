"""Which protocol a port speaks that is not the one that was expected: the port in a setting is another server's."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, NamedTuple

Protocol = Literal["PostgreSQL", "HTTP", "Kafka"]

_SECONDS = 1.0
_CORRELATION = b"\x00\x00\x00\x07"


class _Question(NamedTuple):
    """What to send, and whether an answer is one of this protocol."""

    sent: bytes
    is_answer: Callable[[bytes], bool]


_QUESTIONS: dict[Protocol, _Question] = {
    # SSLRequest, answered with one byte. https://www.postgresql.org/docs/current/protocol-message-formats.html
    "PostgreSQL": _Question(struct.pack("!ii", 8, 80_877_103), lambda answer: answer in {b"S", b"N"}),
    # ApiVersions, version 0, without a client id; the answer has our number after its length.
    # https://kafka.apache.org/protocol#The_Messages_ApiVersions
    "Kafka": _Question(
        struct.pack("!ihh", 10, 18, 0) + _CORRELATION + b"\xff\xff", lambda answer: answer[4:8] == _CORRELATION
    ),
    "HTTP": _Question(b"GET / HTTP/1.0\r\n\r\n", lambda answer: answer.startswith(b"HTTP/")),
}


def protocol_of(host: str, port: int, expected: Protocol) -> Protocol | None:
    """Which other protocol is spoken there; None if none of these. Waits for up to a second for each answer."""
    return next((name for name in _QUESTIONS if name != expected and _speaks(host, port, _QUESTIONS[name])), None)


def refuses_tls(host: str, port: int) -> bool:
    """Whether PostgreSQL is there and does not speak TLS. Waits for up to a second."""
    return _speaks(host, port, _Question(_QUESTIONS["PostgreSQL"].sent, lambda answer: answer == b"N"))


def _speaks(host: str, port: int, question: _Question) -> bool:
    with suppress(OSError), socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(question.sent)
        return question.is_answer(connection.recv(64))
    return False
