"""Asking a consumer over HTTP."""

import asyncio
import gc
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any, NamedTuple

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings

PATIENCE = 4.0
"""Seconds: the least that /livez can be given when the servers have one second to answer."""


class Answer(NamedTuple):
    status: int
    headers: Message
    text: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document


class Client:
    """Requests from another thread, so that a blocked event loop cannot hold up the one that asks."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def ask(self, path: str, method: str = "GET", timeout: float = 30.0, **headers: str) -> Answer:
        request = urllib.request.Request(self.base + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Answer(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())

    async def get(self, path: str, **options: Any) -> Answer:
        return await asyncio.to_thread(self.ask, path, **options)

    def answers(self, path: str, status: int) -> Callable[[], Awaitable[bool]]:
        async def answered() -> bool:
            return (await self.get(path)).status == status

        return answered

    async def status(self) -> dict[str, Any]:
        return (await self.get("/status.json")).json


def quick(settings: Settings, **http: float) -> Settings:
    """Any port, and not much patience."""
    patience = {"port": 0, "probe_seconds": 1.0, "stalled_seconds": PATIENCE} | http
    return Settings.model_validate(
        settings.model_dump()
        | {"http": patience, "database": settings.database.model_dump() | {"statement_timeout": 1}}
    )


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Consumer, Client]]:
    """A consumer with its endpoints, checked and running."""
    consumer = Consumer(settings)
    stop = asyncio.Event()
    async with consumer.monitor.serving() as port:
        await consumer.check()
        running = asyncio.create_task(consumer.run(stop))
        try:
            yield consumer, Client(port)
        finally:
            stop.set()
            await running
            gc.collect()
