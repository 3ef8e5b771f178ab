"""docker-compose.yml does what docs/docker.md says of it: on real Kafka and PostgreSQL, seen from outside."""

import asyncio
import json
import subprocess
from collections import Counter

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.containers.stack import REELSYNC, ROOT, Stack, run
from tests.support.builders import an_id, video
from tests.support.running import eventually

pytestmark = pytest.mark.timeout(600)

VIDEOS = 300


async def query(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            found = await connection.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []
    finally:
        await engine.dispose()


async def all_applied(stack: Stack) -> bool:
    """By the offsets of Kafka and the positions of PostgreSQL, from this machine."""
    env = {"REELSYNC_DATABASE__URL": stack.database_url("reelsync_run", "POSTGRES_RUN_PASSWORD")}
    told = await asyncio.to_thread(run, [*REELSYNC, "lag", "--json"], stack.env | env)
    return sum(partition["lag"] for partition in json.loads(told)) == 0


async def accepted(stack: Stack) -> Counter[str]:
    """How many events each consumer that Prometheus reaches says that it accepted."""
    up = await asyncio.to_thread(stack.prometheus, 'up{job="reelsync"} == 1')
    found = Counter({labels["instance"]: 0 for labels, _ in up})
    for labels, value in await asyncio.to_thread(stack.prometheus, 'reelsync_events_total{outcome="accepted"}'):
        if labels["instance"] in found:
            found[labels["instance"]] += int(value)
    return found


@pytest.fixture(scope="module")
def examples(stack: Stack) -> int:
    """The examples are published; how many."""
    stack.typed(".venv/bin/reelsync publish examples/lifecycle.jsonl")
    return len((ROOT / "examples" / "lifecycle.jsonl").read_bytes().splitlines())


@pytest.fixture(scope="module")
def three(stack: Stack) -> Stack:
    """Three consumers instead of one."""
    stack.typed("docker compose up --detach --wait --scale consumer=3")
    return stack


async def test_published_events_become_rows(stack: Stack, examples: int) -> None:
    assert examples > 0
    await eventually(lambda: all_applied(stack), "the examples are applied")
    shown = stack.typed(
        "docker compose exec postgres psql --username=postgres --dbname=reelsync "
        '--command="SELECT title, status, progress FROM videos"'
    )
    assert "(3 rows)" in shown
    assert "Product tour | completed" in shown


async def test_three_consumers_share_the_partitions_and_apply_and_count_everything_once(
    three: Stack, examples: int
) -> None:
    async def spread() -> bool:
        statuses = await asyncio.to_thread(three.statuses)
        assigned = [[p for p in status["partitions"] if p["assigned"]] for status in statuses]
        owned = Counter((p["topic"], p["partition"]) for share in assigned for p in share)
        return [len(share) for share in assigned] == [6, 6, 6] and len(owned) == 18

    async def three_are_scraped() -> bool:
        return len(await accepted(three)) == 3

    await eventually(spread, "each of the three owns six partitions of its own")
    await eventually(three_are_scraped, "Prometheus has found the three")
    # The consumer that applied the examples may have been replaced by Compose.
    published, before = 0, (await accepted(three)).total()
    assert before in {0, examples}

    async def all_took_part() -> bool:
        """One that had no partition for a moment, while the group formed once more, gets the next ones."""
        nonlocal published
        found = await accepted(three)
        if found.total() == before + published:
            events = b"\n".join(video("created", number) for number in range(published, published + VIDEOS))
            await asyncio.to_thread(run, [*REELSYNC, "publish", "-"], three.env, events)
            published += VIDEOS
        return all(found.values())

    await eventually(all_took_part, "each of the three did a part")
    await eventually(lambda: all_applied(three), "all events are applied")
    superuser = three.database_url("postgres", "POSTGRES_PASSWORD")
    titles = await query(superuser, "SELECT id::text, title FROM videos WHERE title LIKE 'Video %'")
    assert sorted(titles) == sorted((an_id(number), f"Video {number}") for number in range(published))
    assert await query(superuser, "SELECT count(*) FROM dead_letters") == [(0,)]

    async def counted_once() -> bool:
        return (await accepted(three)).total() == before + published

    await eventually(counted_once, "all of them together counted each event once")


async def test_prometheus_finds_every_replica_by_its_one_name(three: Stack) -> None:
    async def all_up() -> bool:
        up = await asyncio.to_thread(three.prometheus, 'up{job="reelsync"} == 1')
        lags = await asyncio.to_thread(three.prometheus, "reelsync_lag_records")
        partitions = {(labels["topic"], labels["partition"]) for labels, _ in lags}
        return len({labels["instance"] for labels, _ in up}) == 3 and len(partitions) == 18

    await eventually(all_up, "three consumers are up, and all partitions have a lag")


async def test_prometheus_has_the_alert_rules(stack: Stack) -> None:
    shipped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]

    async def evaluated() -> bool:
        groups = await asyncio.to_thread(stack.prometheus_api, "rules")
        rules = [rule for group in groups["groups"] for rule in group["rules"]]
        names = {rule["alert"] for group in shipped for rule in group["rules"]}
        return {rule["name"] for rule in rules} == names and all(rule["health"] == "ok" for rule in rules)

    await eventually(evaluated, "all rules are loaded, and were evaluated without an error")


def test_consumers_can_write_nowhere_and_do_nothing_but_consume(three: Stack) -> None:
    consumers = three.containers("consumer")
    assert len(consumers) == 3
    for container in consumers:
        host = container["HostConfig"]
        assert container["State"]["Health"]["Status"] == "healthy"
        assert container["Config"]["User"] == "10001:10001"
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges" in " ".join(host["SecurityOpt"])
        attempt = [
            "docker",
            "exec",
            container["Id"],
            "python",
            "-c",
            "import os; print(os.getuid()); open('/app/x', 'w')",
        ]
        tried = subprocess.run(attempt, capture_output=True, text=True, check=False)
        assert tried.stdout == "10001\n"
        assert "Read-only file system" in tried.stderr
    for service in ("kafka", "postgres", "prometheus"):
        (container,) = three.containers(service)
        assert container["State"]["Health"]["Status"] == "healthy"
        ports = container["NetworkSettings"]["Ports"].values()
        addresses = {bound["HostIp"] for published in ports for bound in published or []}
        assert addresses == {"127.0.0.1"}


def test_the_image_can_send_to_a_collector(stack: Stack) -> None:
    (consumer, *_) = stack.containers("consumer")
    subprocess.run(
        ["docker", "exec", consumer["Id"], "python", "-c", "import reelsync.consumer.telemetry.otlp"], check=True
    )


async def test_the_consumers_role_may_not_touch_the_schema(stack: Stack) -> None:
    url = stack.database_url("reelsync_run", "POSTGRES_RUN_PASSWORD")
    for statement in (
        "DROP TABLE videos",
        "TRUNCATE videos",
        "DELETE FROM videos",
        "CREATE TABLE mine (id int)",
        "UPDATE alembic_version SET version_num = 'x'",
    ):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            await query(url, statement)
    owners = "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'"
    assert await query(url, owners) == [("reelsync_migrate",)]


def test_the_image_holds_no_password_and_no_address_of_an_index(stack: Stack) -> None:
    image = stack.env["REELSYNC_IMAGE"]
    told = run(["docker", "image", "inspect", image], stack.env)
    told += run(["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image], stack.env)
    for hidden in (*stack.passwords.values(), "DATABASE__URL", "--index-url"):
        assert hidden not in told
    config = json.loads(run(["docker", "image", "inspect", image], stack.env))[0]["Config"]
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("10001:10001", ["reelsync"], ["run"])
    assert config["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("missing", ["POSTGRES_PASSWORD", "POSTGRES_MIGRATE_PASSWORD", "POSTGRES_RUN_PASSWORD"])
def test_without_a_password_nothing_starts(stack: Stack, missing: str) -> None:
    env = stack.env | {missing: ""}
    done = subprocess.run(
        [*stack.compose, "config", "--quiet"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert missing in done.stderr
    assert ".env.example" in done.stderr


def test_every_image_is_pinned(stack: Stack) -> None:
    env = {name: value for name, value in stack.env.items() if not name.endswith("_IMAGE")}
    services = json.loads(run([*stack.compose, "config", "--format", "json"], env))["services"]
    for service in services.values():
        name, _, tag = service["image"].rpartition(":")
        assert name
        assert tag[-1].isdigit(), service["image"]
        assert "container_name" not in service
