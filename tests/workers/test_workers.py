"""`reelsync run --workers`: processes of one group under one supervisor, asked over HTTP and struck by signals."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from reelsync.consumer.settings import Settings
from tests.services.contract import DatabaseServer
from tests.support.builders import an_id, video
from tests.support.http_client import Answer, served
from tests.support.processes import run_command
from tests.support.running import eventually, publish, rows_of, topic_of, until_applied
from tests.workers.supervised import quick, total, working


def names(answer: Answer) -> set[str]:
    """Of the families. When a series was created is told of those that have one."""
    return {family.name for family in parse_text(answer.text) if not family.name.endswith("_created")}


def videos(first: int, count: int) -> list[tuple[bytes, bytes]]:
    return [(an_id(n).encode(), video("created", n) if n % 2 else b"poison") for n in range(first, first + count)]


async def test_one_scrape_counts_what_all_workers_did(settings: Settings) -> None:
    """Compared with what was sent. Names and labels are those of one process."""
    await publish(settings, topic_of(settings, "video"), videos(0, 1_000))
    async with working(settings) as workers:
        await until_applied(settings)
        shares = {worker["number"]: worker["partitions"] for worker in await workers.all()}
        assert sum(shares.values()) == 9
        assert min(shares.values()) > 0
        plain = await workers.client.get("/metrics")
        opened = await workers.client.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert total(plain, "reelsync_events_total") == 1_000
        assert total(plain, "reelsync_dead_letters_total") == 500
        assert total(plain, "db_client_connection_max") == 2 * 50

        async def all_lags() -> bool:
            scraped = (await workers.client.get("/metrics")).text
            return len([s for f in parse_text(scraped) for s in f.samples if s.name == "reelsync_lag_records"]) == 9

        await eventually(all_lags, "the lag of every partition")
        assert not any("worker" in s.labels for f in parse_openmetrics(opened.text) for s in f.samples)
        async with served(quick(settings)) as (_, single):
            of_one = await single.get("/metrics")
        assert names(plain) == names(of_one)
        status = await workers.client.status()
        assert sum(partition["position"] for partition in status["partitions"]) == 1_000
        assert {partition["worker"] for partition in status["partitions"]} == {1, 2}
        code, said = workers.stop()
    assert code == 0, said
    stopped = [line for line in logged(said) if line["event"] == "consumer.stopped"]
    assert {line["worker"] for line in stopped} == {1, 2}


async def test_a_worker_that_is_killed_is_started_again_and_no_count_goes_back(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, videos(0, 1_000))
    async with working(settings) as workers:
        await until_applied(settings)
        assert await workers.counted("reelsync_events_total") == 1_000
        before = await workers.pids()
        os.kill(before[1], signal.SIGKILL)

        async def is_back() -> bool:
            assert await workers.counted("reelsync_events_total") >= 1_000
            return (await workers.all())[0]["restarts"] == 1 and await workers.ready()()

        await eventually(is_back, "worker 1 is back")
        after = await workers.pids()
        assert after[1] != before[1]
        assert after[2] == before[2]
        await publish(settings, topic, videos(1_000, 200))
        await until_applied(settings)
        assert await workers.counted("reelsync_events_total") == 1_200
        assert workers.stop()[0] == 0
    assert {letter["attempts"] for letter in await rows_of(settings, "dead_letters")} == {1}


async def test_a_worker_that_is_stuck_is_named_and_replaced_and_holds_up_no_answer(settings: Settings) -> None:
    async with working(settings) as workers:
        victim = (await workers.pids())[2]
        workers.freeze(victim)
        # What was asked of the workers for an answer is shared by those of the same second.
        await eventually(workers.client.answers("/readyz", 503), "it is not ready")
        answer = await workers.client.get("/readyz", timeout=20)
        assert answer.status == 503
        assert any(reason.startswith("worker 2 has not answered") for reason in answer.json["reasons"])
        assert (await workers.client.get("/livez", timeout=20)).status == 200, "the supervisor mends it"
        assert (await workers.client.get("/metrics", timeout=20)).status == 200

        async def is_replaced() -> bool:
            workers_now = await workers.all()
            return workers_now[1]["restarts"] == 1 and workers_now[1]["pid"] not in {None, victim}

        await eventually(is_replaced, "the stopped worker was killed, and another started")
        assert not exists(victim)
        await eventually(workers.ready(), "both consume again")
        assert workers.stop()[0] == 0


async def test_workers_end_with_a_supervisor_that_was_killed(settings: Settings) -> None:
    async with working(settings) as workers:
        pids = await workers.pids()
        workers.supervisor.kill()

        async def are_gone() -> bool:
            return not any(exists(pid) for pid in pids.values())

        await eventually(are_gone, "no worker is left behind")
        assert workers.supervisor.wait() == -signal.SIGKILL
        said = workers.supervisor.stderr.read()
    assert said.count("consumer.stopped") == 2, "they finished what they had in hand"


async def test_what_waiting_does_not_mend_ends_all_with_its_message(settings: Settings) -> None:
    """A bad deploy: almost everything is a dead letter. The worker that sees it must not be started again."""
    limits = settings.dead_letters.model_copy(update={"window_records": 200, "max_count": 100})
    async with working(settings.model_copy(update={"dead_letters": limits})) as workers:
        await publish(settings, topic_of(settings, "video"), [(an_id(n).encode(), b"poison") for n in range(2_000)])
        _, said = workers.supervisor.communicate(timeout=60)
        assert workers.supervisor.returncode == 1
    last = orjson.loads(said.splitlines()[-1])
    assert (last["event"], "dead letters" in last["why"]) == ("consumer.halted", True)
    assert [line["event"] for line in logged(said)].count("worker.started") == 2, "none was started again"


def test_a_wrong_password_is_an_error_at_once(settings: Settings) -> None:
    url = re.sub(r"//(\w+):[^@]+@", r"//\1:hunter2@", settings.database.url.get_secret_value())
    done = run_command(settings, "run", "--workers", "2", REELSYNC_DATABASE__URL=url)
    assert done.returncode == 1
    assert "the user or the password is refused" in done.stderr.rpartition("error: ")[2]
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_outage_of_the_database_is_waited_out_by_all(settings: Settings, postgres: DatabaseServer) -> None:
    async with working(settings) as workers:
        before = await workers.pids()
        postgres.shut_down("immediate")
        try:
            await publish(settings, topic_of(settings, "video"), videos(0, 100))

            async def is_told() -> bool:
                return (await workers.client.status())["notices"][0]["text"].startswith("Waiting for PostgreSQL: ")

            await eventually(is_told, "the headline names the database")
            waiting = [notice for notice in (await workers.client.status())["notices"] if notice["kind"] == "waiting"]
            assert len(waiting) == 1, "once for all workers"
            assert (await workers.client.get("/livez")).status == 200
        finally:
            postgres.start()
        await eventually(workers.ready(), "ready again")
        await until_applied(settings)
        assert await workers.pids() == before
        assert workers.stop()[0] == 0


def logged(said: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in said.splitlines() if line.startswith("{")]


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
