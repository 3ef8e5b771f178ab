"""The HTTP port in a hostile network: what it refuses, what it bounds, and what it says of itself meanwhile."""

import asyncio
import gzip
import json
import socket
from contextlib import suppress
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from reelsync.consumer.status import connections
from tests.support.http_endpoints import closed, get, served, told
from tests.support.running import eventually

SECURE = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "server": "reelsync",
    "x-content-type-options": "nosniff",
}


def broken() -> str:
    raise RuntimeError("of our own")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/"), 200),
        (get("/", method="HEAD"), 200),
        (get("/livez"), 200),
        (get("/metrics"), 200),
        (get("/readyz"), 503),
        (get("/status.json"), 500),
        (get("/nowhere"), 404),
        (get("/livez", method="DELETE"), 405),
        (get("/livez", "Content-Length: 3") + b"abc", 413),
        (get("/livez", "Transfer-Encoding: chunked"), 413),
        (get("/livez", host="rebound.example"), 421),
        (get("/" + "a" * 9_000), 400),
        (get("/", "X: " + "a" * 9_000), 400),
        (get("/", *["X: y"] * 100), 400),
        (b"\x16\x03\x01 not HTTP\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (get("/livez", "Expect: something"), 417),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_every_answer_has_our_headers_and_nothing_of_the_request(request_: bytes, status: int) -> None:
    async with served(broken) as port:
        found, headers, body = await told(port, request_)
    assert found == status, body
    assert headers.items() >= SECURE.items()
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"aaa" not in body
    assert b"not HTTP" not in body


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8080", True),
        ("10.1.2.3", True),
        ("[::1]:8080", True),
        ("[fe80::1]", True),
        ("localhost", True),
        ("LocalHost:8080", True),
        (socket.gethostname(), True),
        ("reelsync.monitoring.svc:8080", True),
        ("other.example", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example:8080", False),
        ("[::1", False),
        ("", False),
        ("127.0.0.1@evil.example", False),
    ],
)
async def test_it_answers_under_its_own_names_and_any_address(host: str, *, ours: bool) -> None:
    async with served(allowed_hosts="reelsync.monitoring.svc, Other.example") as port:
        status, _, body = await told(port, get("/livez", host=host))
    assert status == (200 if ours else 421), body
    assert ours or "REELSYNC_HTTP__ALLOWED_HOSTS" in json.loads(body)["error"]


async def test_metrics_are_compressed_for_who_takes_it_and_in_the_form_that_is_asked_for() -> None:
    async with served() as port:
        _, headers, body = await told(port, get("/metrics", "Accept-Encoding: gzip"))
        assert headers["content-encoding"] == "gzip"
        assert b"asked_total 1.0" in gzip.decompress(body)
        _, headers, body = await told(port, get("/metrics", "Accept: application/openmetrics-text; version=1.0.0"))
        assert headers["content-type"].startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")


async def test_what_is_read_in_a_terminal_says_nothing_to_it() -> None:
    async with served(lambda: '{"why": "\u009b31m\u202e"}') as port:
        _, _, body = await told(port, get("/status.json"))
    assert body == b'{"why": "\\u009b31m\\u202e"}'


async def silent(port: int, count: int) -> list[asyncio.StreamReader]:
    """Connections that begin a request and never end it; each is kept open by its writer."""
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        reader.kept = writer  # type: ignore[attr-defined]
        opened.append(reader)
    return opened


async def test_silent_connections_make_room_and_the_log_has_one_line() -> None:
    async with served() as port:
        with capture_logs() as logs:
            opened = await silent(port, 120)

            async def made_room() -> bool:
                return len(over(opened)) == 120 - connections.CONNECTIONS

            await eventually(made_room, "all but 32 are closed, the oldest first")
            assert over(opened) == opened[: 120 - connections.CONNECTIONS]
            assert (await told(port, get("/livez")))[0] == 200
        for reader in opened:
            await closed(reader.kept)  # type: ignore[attr-defined]
    assert [line["event"] for line in logs if line["event"] == "http.crowded"] == ["http.crowded"]


def over(opened: list[asyncio.StreamReader]) -> list[asyncio.StreamReader]:
    return [reader for reader in opened if reader.at_eof() or reader.exception() is not None]


async def test_a_request_that_never_ends_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_KEEP_ALIVE_SECONDS", 0.3)
    async with served() as port:
        (reader,) = await silent(port, 1)

        async def trickled() -> bool:
            reader.kept.write(b"a")  # type: ignore[attr-defined]
            return bool(over([reader]))

        await eventually(trickled, "it is closed, although something comes now and then")
        await closed(reader.kept)  # type: ignore[attr-defined]


async def test_an_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_ANSWER_SECONDS", 0.3)
    async with served(lambda: json.dumps("x" * 30_000_000)) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(0)
            client.send(get("/status.json"))

            async def reset() -> bool:
                with suppress(BlockingIOError):
                    try:
                        client.send(b"\r\n")
                    except ConnectionError:
                        return True
                return False

            await eventually(reset, "the connection is reset")


async def test_who_asks_without_end_waits_and_the_log_has_one_line() -> None:
    async with served() as port:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with capture_logs() as logs:
            answers = await asyncio.gather(*(asked(port, 25) for _ in range(8)))
        seconds = loop.time() - began
    assert seconds > (8 * 25 - 34) / 100, "100 a second, and those that may come at once"
    assert {status for client in answers for status in client} == {200}
    assert [line["event"] for line in logs if line["event"] == "http.crowded"] == ["http.crowded"]


async def asked(port: int, times: int) -> list[int]:
    """The same client, again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for _ in range(times):
        writer.write(get("/status.json"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        found.append(int(head.split()[1]))
        await reader.readexactly(int(head.split("content-length:")[1].split()[0]))
    await closed(writer)
    return found


async def test_a_costly_answer_takes_a_small_share_of_the_time() -> None:
    """Each takes 20 ms of the event loop here, and eight clients want it all the time."""
    made = []
    loop = asyncio.get_running_loop()

    def costly() -> str:
        until = loop.time() + 0.02
        while loop.time() < until:
            pass
        made.append(loop.time())
        return "{}"

    async def asked_until_three_were_made(port: int) -> None:
        while len(made) < 3:
            await asked(port, 20)

    async with served(costly) as port:
        await asyncio.gather(*(asked_until_three_were_made(port) for _ in range(8)))
    between = [later - earlier for earlier, later in pairwise(made)]
    assert min(between) > 0.02 * 15
