"""Endpoints alone, without a consumer, and their answers to any bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

from reelsync.consumer.counters import Family
from reelsync.consumer.settings import HttpSettings
from reelsync.consumer.status.http_server import serving


class ScriptedAnswers:
    """Answers of a consumer that is live and not ready, with one metric and this document."""

    def __init__(self, status_json: Callable[[], str]) -> None:
        self._status_json = status_json

    async def refresh(self) -> None:
        pass

    def not_live(self) -> list[str]:
        return []

    def not_ready(self) -> list[str]:
        return ["not yet"]

    def status(self) -> Any:
        return SimpleNamespace(model_dump_json=self._status_json)

    def families(self) -> list[Family]:
        asked = Family("asked", "counter", "Something to count.")
        asked.inc()
        return [asked]


@asynccontextmanager
async def served(status_json: Callable[[], str] = lambda: "{}", **settings: Any) -> AsyncIterator[int]:
    """Endpoints alone, without a consumer."""
    async with serving(HttpSettings(port=0, **settings), ScriptedAnswers(status_json)) as port:
        yield port


async def told(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to these bytes: status, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        length = 0 if request.startswith(b"HEAD") else int(headers["content-length"])
        return int(head[0].split()[1]), headers, await reader.readexactly(length)
    finally:
        await closed(writer)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def get(path: str, *headers: str, method: str = "GET", host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()
