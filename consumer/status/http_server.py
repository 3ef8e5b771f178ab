"""The operator's HTTP endpoints: read-only, from memory, nothing of an event's and no secret in them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.settings import HttpSettings

from .page import status_page

_POLICY = "Content-Security-Policy"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "reelsync",
    "X-Content-Type-Options": "nosniff",
}
_KEEP_ALIVE_SECONDS = 15.0
_SHUTDOWN_SECONDS = 1.0

_log = structlog.get_logger("reelsync.http")


async def _nothing() -> None:
    """There is nobody to ask."""


@dataclass(frozen=True)
class Answers:
    """What the endpoints say, asked anew for each request. `look` is awaited before; nothing else waits."""

    not_live: Callable[[], list[str]]
    not_ready: Callable[[], list[str]]
    status_json: Callable[[], str]
    registry: CollectorRegistry
    look: Callable[[], Awaitable[None]] = _nothing


@asynccontextmanager
async def serving(settings: HttpSettings, answers: Answers) -> AsyncIterator[int]:
    """Answer requests on the settings' address; the port.

    Raises:
        ReelsyncError: the address cannot be used.
    """
    runner = web.AppRunner(
        application(answers),
        access_log=None,
        handle_signals=False,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            where = f"{settings.host}, port {settings.port} ({error.strerror or type(error).__name__})"
            message = (
                f"cannot listen on {where}: set REELSYNC_HTTP__HOST to an address of this machine, and "
                "REELSYNC_HTTP__PORT to a free port, or to 0 for any"
            )
            raise ReelsyncError(message) from error
        port: int = runner.addresses[0][1]
        _log.info("http.listening", host=settings.host, port=port)
        yield port
    finally:
        await runner.cleanup()


def application(answers: Answers) -> web.Application:
    """The endpoints. aiohttp answers GET and HEAD of these paths, 405 to other methods, and 404 elsewhere."""

    async def page(_request: web.Request) -> web.Response:
        html, policy = status_page()
        return web.Response(text=html, content_type="text/html", headers={_POLICY: policy})

    async def livez(_request: web.Request) -> web.Response:
        await answers.look()
        return _verdict(answers.not_live())

    async def readyz(_request: web.Request) -> web.Response:
        await answers.look()
        return _verdict(answers.not_ready())

    async def status(_request: web.Request) -> web.Response:
        await answers.look()
        return web.Response(text=answers.status_json(), content_type="application/json")

    async def metrics(request: web.Request) -> web.StreamResponse:
        await answers.look()
        return await exposition(request)

    exposition = make_aiohttp_handler(answers.registry)
    app = web.Application(middlewares=[_own_errors])
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/", page)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/status.json", status)
    app.router.add_get("/metrics", metrics)
    return app


def _verdict(reasons: list[str]) -> web.Response:
    return web.json_response({"ok": not reasons, "reasons": reasons}, status=503 if reasons else 200)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault(_POLICY, "default-src 'none'; frame-ancestors 'none'")


@web.middleware
async def _own_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Our errors in our log: aiohttp's is off, for it tells what strangers send."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - a page that fails must not be the end of anything else
        _log.error("http.failed", path=request.path, error=describe(error))
        return web.json_response({"error": "internal error: see the log"}, status=500)
