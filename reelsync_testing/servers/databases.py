"""Creating and dropping databases over a connection, which takes less time than to run PostgreSQL's programs for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg

from .child_process import ServiceError


def create_database(url: str, name: str, template: str | None) -> None:
    """Create a database. The template must not have any connections.

    Args:
        url: Of another database of the server, as its superuser.
        name: What it is called.
        template: What it is a copy of. Copying its files takes less work than copying its pages one by one.

    Raises:
        ServiceError: the server refused, with its message.
    """
    copied = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
    _execute(url, f'CREATE DATABASE "{name}"{copied}')


def drop_database(url: str, name: str) -> None:
    """Drop a database if it exists, and its connections.

    Raises:
        ServiceError: the server refused, with its message.
    """
    _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    # In a thread, because the caller's may run an event loop.
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            pool.submit(asyncio.run, execute()).result()
        except (asyncpg.PostgresError, OSError) as error:
            raise ServiceError(f"{statement} failed: {error}") from error
