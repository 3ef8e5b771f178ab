"""The connections of the operator's HTTP server: a limited number at a time, and a limited number of requests a second.

The event loop that answers is the one that consumes. So a client that asks without end, or connects and sends nothing,
waits or loses its connection, and takes neither the consumer's time nor the descriptors of its connections to the
servers.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import structlog
from aiohttp import web

from reelsync.consumer.settings import HttpSettings

CONNECTIONS = 32
_REQUESTS_A_SECOND = 100.0
_ACCEPTED_A_SECOND = 400.0
_BACKLOG = 128
"""Connections that wait in the kernel until one is accepted."""
_ROOM_SECONDS = 0.01
_NO_DESCRIPTOR_SECONDS = 1.0
_KEEP_ALIVE_SECONDS = 15.0
"""The time for a request to begin and for its head to arrive."""
_ANSWER_SECONDS = 10.0
"""The time for a client to take an answer."""
_MAX_LINE = 4_096
_MAX_HEADERS = 64

_TOLD_SECONDS = 60.0

_log = structlog.get_logger("reelsync.http")

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "reelsync",
    "X-Content-Type-Options": "nosniff",
}
POLICY = "Content-Security-Policy"


class Pace:
    """Lets a number of requests pass each second, in order; a third of that number may come at once."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0

    async def turn(self) -> bool:
        """Wait for a turn. Whether that took any time."""
        now = time.monotonic()
        self._next = max(self._next, now - 1 / 3) + self._interval
        if self._next <= now:
            return False
        await asyncio.sleep(self._next - now)
        return True


class Crowd:
    """Logs what happens too often to be logged each time: at once, then with a count each minute."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._told_at = -_TOLD_SECONDS

    def count(self, what: str) -> None:
        """Count one occurrence."""
        self._counted[what] += 1
        now = time.monotonic()
        if now - self._told_at >= _TOLD_SECONDS:
            _log.warning("http.crowded", **self._counted)
            self._counted.clear()
            self._told_at = now


class Connection(web.RequestHandler):
    """A connection. It is `busy` from the begin of a request until its answer was taken; otherwise it may be closed."""

    busy = False
    aborted = False

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Called for every answer, aiohttp's own too: add our headers, and limit the time to take it."""
        resp.headers.update(HEADERS)
        resp.headers.setdefault(POLICY, "default-src 'none'; frame-ancestors 'none'")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.abort()
            return resp, True
        finally:
            self.busy = False

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's method
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002 - has what a stranger sent
    ) -> web.StreamResponse:
        """Answer what is not a valid HTTP request, in our words."""
        answer = web.json_response({"error": "this request is not supported"}, status=status)
        answer.force_close()
        return answer

    def abort(self) -> None:
        """Close at once, without sending the rest."""
        self.aborted = True
        if self.transport is not None:
            self.transport.abort()


async def bound(settings: HttpSettings) -> list[socket.socket]:
    """Sockets that listen on the settings' address: several, if its name has several.

    Raises:
        OSError: the address cannot be used.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, settings.host, settings.port, start_serving=False)
    sockets = [one.dup() for one in server.sockets]
    server.close()
    for one in sockets:
        one.settimeout(0)
        one.listen(_BACKLOG)
    return sockets


class Connections:
    """Accepts connections for a server of aiohttp, and limits the rate of its requests."""

    def __init__(self) -> None:
        self._accepting = Pace(_ACCEPTED_A_SECOND)
        self._requests = Pace(_REQUESTS_A_SECOND)
        self.crowd = Crowd()

    @asynccontextmanager
    async def accepting(self, server: web.Server, sockets: list[socket.socket]) -> AsyncIterator[None]:
        """Accept connections of the sockets, and close the sockets in the end."""
        accepting = [asyncio.create_task(self._accept(server, one)) for one in sockets]
        try:
            yield
        finally:
            for task in accepting:
                task.cancel()
            await asyncio.gather(*accepting, return_exceptions=True)
            for one in sockets:
                one.close()

    @web.middleware
    async def paced(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a request wait for its turn, so that clients that ask without end leave time to the consumer."""
        _ours(request.protocol).busy = True
        if await self._requests.turn():
            self.crowd.count("requests_delayed")
        return await handler(request)

    async def _accept(self, server: web.Server, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._accepting.turn()
            try:
                client, _ = await loop.sock_accept(listening)
            except OSError:
                # No file descriptor is left, or the client has gone.
                self.crowd.count("not_accepted")
                await asyncio.sleep(_NO_DESCRIPTOR_SECONDS)
                continue
            try:
                await self._make_room(server)
                await loop.connect_accepted_socket(partial(_connection, server), client)
            except BaseException as error:
                client.close()
                if not isinstance(error, OSError):
                    raise

    async def _make_room(self, server: web.Server) -> None:
        """Close the oldest connection without a request; if there is none, wait until an answer was taken."""
        while len(there := [one for one in map(_ours, server.connections) if not one.aborted]) >= CONNECTIONS:
            idle = next((one for one in there if not one.busy), None)
            if idle:
                idle.abort()
                self.crowd.count("connections_closed")
            else:
                await asyncio.sleep(_ROOM_SECONDS)


def _ours(connection: web.RequestHandler) -> Connection:
    """The connections that we accepted: the server accepts none itself."""
    return cast("Connection", connection)


def _connection(server: web.Server) -> Connection:
    options: dict[str, Any] = {
        "access_log": None,  # aiohttp's tells what strangers send.
        "auto_decompress": False,
        "keepalive_timeout": _KEEP_ALIVE_SECONDS,
        "lingering_time": 0.0,
        "max_headers": _MAX_HEADERS,
        "max_line_size": _MAX_LINE,
    }
    return Connection(server, loop=asyncio.get_running_loop(), **options)
