"""The example API, through HTTP."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from examples.api.app import create_app
from reelsync.testing.servers.child_process import free_port
from tests.queries.merged import merge
from tests.queries.reader import Reader
from tests.queries.story import DAY, EVENTS, HOUR, id_of, user_id
from tests.support.builders import START
from tests.support.processes import ROOT
from tests.support.running import eventually
from tests.support.writing import GROUP

(COMMAND,) = re.findall(r"^\.venv/bin/(uvicorn .*)$", (ROOT / "docs" / "reading.md").read_text(), re.MULTILINE)


@pytest.fixture
async def client(operator_url: str, reader: Reader) -> AsyncIterator[httpx.AsyncClient]:
    await merge(reader.engine, *EVENTS)
    app = create_app(operator_url, GROUP)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        yield client


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def test_users(client: httpx.AsyncClient) -> None:
    page = await get(client, "/users", limit=1)
    assert [user["username"] for user in page["items"]] == ["user_1"]
    assert (await get(client, "/users", after=page["next"]))["items"] == []
    ada = await get(client, f"/users/{user_id(1)}")
    assert (ada["email"], ada["profile"]["full_name"]) == ("user1@example.com", "Ada")
    for hidden in (3, 4):
        assert (await client.get(f"/users/{user_id(hidden)}")).status_code == 404


async def test_its_queries_are_timed_by_name(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", f"/users/{user_id(1)}", f"/users/{user_id(1)}", f"/admin/users/{user_id(1)}/videos"):
        await get(client, path)
    said = (await client.get("/metrics")).text
    counted = {
        sample.labels["query_name"]: sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
        if sample.name == "db_client_operation_duration_seconds_count"
    }
    assert counted.pop("pool.wait") == 4
    assert counted == {
        "connect": 1,
        "api.healthz": 1,
        "queries.user_by_id": 2,
        "queries.page_of_videos_of_user": 2,
        "rollback": 4,
    }


async def test_videos_of_a_user_page_by_page(client: httpx.AsyncClient) -> None:
    path, seen, after = f"/users/{user_id(1)}/videos", [], {}
    while True:
        page = await get(client, path, limit=2, **after)
        seen += [video["id"] for video in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [str(id_of(number)) for number in (4, 3, 2, 1)]
    completed = await get(client, path, status="completed")
    assert [video["output"]["file_size"] for video in completed["items"]] == [10, 200 * 1024 * 1024]
    refused = await client.get(path, params={"after": "nonsense"})
    assert (refused.status_code, "pass on the token" in refused.text) == (422, True)


async def test_an_old_output_is_not_shown_while_a_video_is_rendered_again(client: httpx.AsyncClient) -> None:
    again = await get(client, f"/videos/{id_of(9)}")
    assert (again["status"], again["output"]) == ("processing", None)
    assert (await client.get(f"/videos/{id_of(5)}")).status_code == 404


async def test_a_video_is_shown_once_an_event_is_applied(
    client: httpx.AsyncClient, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.api.app._APPLIED_SECONDS", 0.05)
    path = f"/videos/{id_of(9)}"
    assert (await get(client, path, after="video-events/0/0"))["id"] == str(id_of(9))
    late = await client.get(path, params={"after": "video-events/0/999"})
    assert (late.status_code, late.headers["Retry-After"]) == (503, "1")
    columns = 'consumer_group, topic, partition, "offset", record_timestamp, crc, stage, reason'
    letter = f"INSERT INTO dead_letters ({columns}) VALUES ('{GROUP}', 'video-events', 0, 1, 0, 0, 'write', 'conflict')"
    await operator.execute(text(letter))
    refused = await client.get(path, params={"after": "video-events/0/1"})
    assert (refused.status_code, "conflict" in refused.text) == (409, True)
    assert (await client.get(path, params={"after": "nonsense"})).status_code == 422


async def test_admins_see_a_total_and_may_see_what_is_deleted(client: httpx.AsyncClient) -> None:
    path = f"/admin/users/{user_id(1)}/videos"
    page = await get(client, path, limit=1, offset=1)
    assert ([video["id"] for video in page["items"]], page["total"]) == ([str(id_of(3))], 4)
    assert (await get(client, path, include_deleted=True))["total"] == 5


async def test_videos_by_status(client: httpx.AsyncClient) -> None:
    failed = await get(client, "/videos", status="failed", since=START.isoformat())
    assert [(row["username"], row["video"]["error_code"]) for row in failed] == [
        ("user_1", "render_timeout"),
        ("user_2", "no_voice"),
    ]
    early = await get(client, "/videos", status="failed", since=START.isoformat(), until=(START + HOUR).isoformat())
    assert len(early) == 1
    naive = await client.get("/videos", params={"status": "failed", "since": "2026-01-05T00:00:00"})
    assert naive.status_code == 422


async def test_costs(client: httpx.AsyncClient) -> None:
    daily = await get(client, "/costs/daily", since=START.isoformat())
    assert daily == [
        {"day": "2026-01-05", "uses": 1, "cost_usd": "0.500000"},
        {"day": "2026-01-06", "uses": 3, "cost_usd": "1.500000"},
    ]
    models = await get(client, "/costs/models", since=(START + DAY).isoformat(), user_id=str(user_id(1)))
    assert models == [
        {"model_name": "render-1", "uses": 1, "cost_usd": "1.250000", "input_units": 5, "output_units": 0}
    ]


async def test_responses_are_typed(client: httpx.AsyncClient) -> None:
    """Every answer has a schema that a client can be made from."""
    document = await get(client, "/openapi.json")
    for path, operations in document["paths"].items():
        schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in schema.get("items", schema), path


async def test_a_database_that_is_away_is_not_healthy() -> None:
    app = create_app(f"postgresql+asyncpg://nobody:nothing@127.0.0.1:{free_port()}/nothing")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"detail": "the database does not answer"})


def test_no_database_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELSYNC_DATABASE__URL", raising=False)
    with pytest.raises(ValueError, match="Set REELSYNC_DATABASE__URL"):
        create_app()


@contextmanager
def serving(database: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command of docs/reading.md, and where it listens."""
    port = free_port()
    command = [sys.executable, "-m", *shlex.split(COMMAND), "--port", str(port)]
    env = os.environ | {"REELSYNC_DATABASE__URL": database}
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server, f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.communicate()


async def test_the_command_of_the_readme_serves_it(operator_url: str, reader: Reader) -> None:
    await merge(reader.engine, *EVENTS)
    with serving(operator_url) as (server, url):
        async with httpx.AsyncClient(base_url=url) as client:

            async def healthy() -> bool:
                assert server.poll() is None, server.stderr and server.stderr.read()
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(healthy, "the server answers")
            assert await get(client, "/healthz") == {"status": "ok", "checked_out": 1, "invalid": 0}
            assert [user["username"] for user in (await get(client, "/users"))["items"]] == ["user_1"]
        server.terminate()
        assert server.wait(30) in {0, -signal.SIGTERM}, "it stops when told to"
