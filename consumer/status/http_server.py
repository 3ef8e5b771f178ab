"""The operator's HTTP endpoints: read-only and from memory, without content of events and without secrets."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

from reelsync.consumer.counters import Family, FamilyCollector
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.escaping import json_text
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.settings import HttpSettings

from .connections import POLICY, Connections, bound
from .document import Status
from .page import status_page

_SHUTDOWN_SECONDS = 1.0
_REST = 19
"""Making answers takes at most a twentieth of the time: after one was made, this many times as long must pass."""
_LONGEST_REST_SECONDS = 1.0
_KEPT = 16
_QUICKLY = 1

_log = structlog.get_logger("reelsync.http")

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answers(Protocol):
    """What the endpoints say. `refresh` is awaited before each answer; nothing else waits."""

    async def refresh(self) -> None:
        """Bring up to date what the answers are made of."""

    def not_live(self) -> list[str]:
        """Why this process should be restarted; empty while it should not."""

    def not_ready(self) -> list[str]:
        """Why it does not consume now; empty while it does."""

    def status(self) -> Status:
        """The document of /status.json."""

    def families(self) -> Iterable[Family]:
        """All metrics."""


class Shared:
    """Answers that are made one at a time, and shared by all who ask at about the same time."""

    def __init__(self) -> None:
        self._making = asyncio.Lock()
        self._free_at = 0.0
        self._made: dict[Hashable, tuple[float, Any]] = {}

    async def get(self, kind: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer of this kind, made again unless it is recent."""
        if self._is_fresh(kind):
            return cast("T", self._made[kind][1])
        async with self._making:
            if self._is_fresh(kind):
                return cast("T", self._made[kind][1])
            await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))
            began = time.monotonic()
            try:
                answer = await make()
            finally:
                ended = time.monotonic()
                self._free_at = ended + min(_LONGEST_REST_SECONDS, _REST * (ended - began))
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[kind] = (self._free_at, answer)
            return answer

    def _is_fresh(self, kind: Hashable) -> bool:
        return kind in self._made and time.monotonic() < self._made[kind][0]


@asynccontextmanager
async def serving(settings: HttpSettings, answers: Answers) -> AsyncIterator[int]:
    """Answer requests on the settings' address; the port.

    Raises:
        ReelsyncError: the address cannot be used.
    """
    connections = Connections()
    app = web.Application(middlewares=[connections.paced, _refusing(settings), _own_errors])
    Endpoints(answers).add_to(app.router)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            sockets = await bound(settings)
        except OSError as error:
            where = f"{settings.host}, port {settings.port} ({error.strerror or type(error).__name__})"
            message = (
                f"cannot listen on {where}: set REELSYNC_HTTP__HOST to an address of this machine, and "
                "REELSYNC_HTTP__PORT to a free port, or to 0 for any"
            )
            raise ReelsyncError(message) from error
        async with connections.accepting(cast("web.Server", runner.server), sockets):
            port: int = sockets[0].getsockname()[1]
            _log.info("http.listening", host=settings.host, port=port)
            yield port
    finally:
        await runner.cleanup()


class Endpoints:
    """The handlers. Costly answers are shared, and so is each refreshing of what the answers are made of."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._made, self._refreshed = Shared(), Shared()
        self._registry = CollectorRegistry()
        self._registry.register(FamilyCollector(answers.families))

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the paths. aiohttp answers GET and HEAD of them, 405 to other methods, and 404 elsewhere."""
        router.add_get("/", self._page)
        router.add_get("/livez", self._livez)
        router.add_get("/readyz", self._readyz)
        router.add_get("/status.json", self._status)
        router.add_get("/metrics", self._metrics)

    async def _page(self, _request: web.Request) -> web.Response:
        html, policy = status_page()
        return web.Response(text=html, content_type="text/html", headers={POLICY: policy})

    async def _livez(self, _request: web.Request) -> web.Response:
        await self._refreshed.get("all", self._answers.refresh)
        return _verdict(self._answers.not_live())

    async def _readyz(self, _request: web.Request) -> web.Response:
        await self._refreshed.get("all", self._answers.refresh)
        return _verdict(self._answers.not_ready())

    async def _status(self, _request: web.Request) -> web.Response:
        async def made() -> bytes:
            await self._answers.refresh()
            return json_text(self._answers.status().model_dump_json()).encode()

        return web.Response(body=await self._made.get("status", made), content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        encoder, content_type = choose_encoder(",".join(request.headers.getall("Accept", [])))
        zipped = gzip_accepted(request.headers.get("Accept-Encoding", ""))

        async def made() -> bytes:
            await self._answers.refresh()
            text = encoder(self._registry)
            return gzip.compress(text, _QUICKLY) if zipped else text

        headers = {"Content-Type": content_type} | ({"Content-Encoding": "gzip"} if zipped else {})
        return web.Response(body=await self._made.get((content_type, zipped), made), headers=headers)


def _verdict(reasons: list[str]) -> web.Response:
    return web.json_response({"ok": not reasons, "reasons": reasons}, status=503 if reasons else 200)


def _refusing(settings: HttpSettings) -> Any:
    """Refuse requests with a body, and requests for a host name that is not ours.

    A browser may be led here under another name ("DNS rebinding"). An address cannot be redirected in this way. Source:
    RFC 9110, 15.5.20.
    """
    listed = (name.strip().lower() for name in settings.allowed_hosts.split(","))
    names = {"localhost", settings.host.lower(), socket.gethostname().lower(), *listed}

    @web.middleware
    async def refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not all(_is_ours(host, names) for host in request.headers.getall("Host", [])):
            message = "this Host is not one of REELSYNC_HTTP__ALLOWED_HOSTS"
            return web.json_response({"error": message}, status=421)
        if request.can_read_body:
            answer = web.json_response({"error": "requests with a body are not supported"}, status=413)
            answer.force_close()
            return answer
        return await handler(request)

    return refusing


def _is_ours(host: str, names: set[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if name in names:
        return bool(name)
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@web.middleware
async def _own_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Our errors in our log: aiohttp's is off, because it quotes what strangers send."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - a page that fails must not be the end of anything else
        _log.error("http.failed", path=request.path, error=describe(error))
        return web.json_response({"error": "internal error: see the log"}, status=500)
