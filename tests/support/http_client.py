"""Asking a consumer over HTTP."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any, NamedTuple


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
