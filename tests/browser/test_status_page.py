"""The status page in a real browser, of a real consumer, while servers and publishers misbehave.

The browser asks the consumer of this process, so it is driven from another thread: the loop must be free to answer.
"""

import asyncio
import os
import signal
from contextlib import suppress

from selenium.webdriver import Chrome
from sqlalchemy import text

from reelsync.consumer.settings import Settings
from reelsync.models.engine import create_single_use_engine
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.browser.chromium import console
from tests.browser.page import SECRET, axe_violations, events, photograph, rows_of_table, says, shown, text_of
from tests.support.builders import video
from tests.support.running import eventually, publish, topic_of, until_applied
from tests.workers.supervised import working


async def test_an_idle_and_a_busy_consumer(settings: Settings, browser: Chrome) -> None:
    """The page follows by itself: nothing is loaded anew."""
    topic = topic_of(settings, "video")
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up: nothing waits in 9 partitions")
        assert await asyncio.to_thread(text_of, browser, "#level") == "OK"
        await asyncio.to_thread(browser.execute_script, "window.sameDocument = true")
        await publish(settings, topic, events(3_000))
        await says(browser, "#headline", r"^(Applying|Catching up: applying) [\d,.]+ records/s, [\d.]+ m?s behind")
        await says(browser, "#tiles", r"Throughput\s+[\d,.]*[1-9]")
        await until_applied(settings)

        async def all_positions() -> bool:
            rows = await asyncio.to_thread(rows_of_table, browser, "partitions")
            return sum(int(row[1].replace(",", "")) for row in rows) == 3_000

        await eventually(all_positions, "the positions of all records")
        rows = await asyncio.to_thread(rows_of_table, browser, "partitions")
        assert len(rows) == 9
        assert {row[4] for row in rows} == {"this member"}
        queries = {row[0]: row for row in await asyncio.to_thread(rows_of_table, browser, "statements")}
        assert {"videos.merge", "users.merge", "offsets.fence", "commit"} <= queries.keys()
        assert queries["videos.merge"][2] == "0"
        phases = await asyncio.to_thread(rows_of_table, browser, "phases")
        assert [row[0] for row in phases] == ["poll", "decode", "fold", "write", "commit"]
        assert "of 50" in await asyncio.to_thread(text_of, browser, "#pool")
        assert await asyncio.to_thread(browser.execute_script, "return window.sameDocument")
        await asyncio.to_thread(photograph, browser, "busy", 1280, 390)
        assert console(browser) == []


async def test_several_workers_are_told_apart(settings: Settings, browser: Chrome) -> None:
    async with working(settings) as workers:
        await asyncio.to_thread(browser.get, workers.client.base)
        await says(browser, "#headline", "^Caught up: nothing waits in 9 partitions")
        rows = await asyncio.to_thread(rows_of_table, browser, "workers")
        assert {int(row[0]): int(row[1]) for row in rows} == await workers.pids()
        assert sum(int(row[2]) for row in rows) == 9
        owners = {row[4] for row in await asyncio.to_thread(rows_of_table, browser, "partitions")}
        assert owners == {"worker 1", "worker 2"}
        await asyncio.to_thread(photograph, browser, "workers", 1280, 390)
        found = await asyncio.to_thread(axe_violations, browser)
        assert found["violations"] == []
        # A stopped worker is silent for longer than the page needs to look; a killed one may be back before that.
        pid = (await workers.pids())[2]
        os.kill(pid, signal.SIGSTOP)
        await says(browser, "#summary", r"Worker 2 has not answered for \d")
        with suppress(ProcessLookupError):  # the supervisor kills it, too, once its patience is over
            os.kill(pid, signal.SIGKILL)
        await says(browser, "#workers", r"(?m)^2\b.*\s1\s+consumes")
        assert console(browser) == []


async def test_an_outage_of_the_database_is_told_in_words(
    settings: Settings, browser: Chrome, postgres: EmbeddedPostgres
) -> None:
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        postgres.shut_down("immediate")
        try:
            await publish(settings, topic_of(settings, "video"), events(200))
            wanted = r"^Waiting for PostgreSQL: connection refused, next try in [\d.]+ m?s \(for \d"
            await says(browser, "#headline", wanted)
            await says(browser, "#level", "^Trouble$")
            await says(browser, "#fix", "check PostgreSQL; the consumer continues by itself, and nothing is lost")
            await says(browser, "#servers", r"PostgreSQL\s+no\s")
            await asyncio.to_thread(photograph, browser, "outage", 1280, 390)
        finally:
            postgres.start()
        await says(browser, "#headline", "^(Applying|Caught up)")
        await says(browser, "#level", "^OK$")
        await until_applied(settings)
        assert console(browser) == []


async def test_a_poison_storm_is_told_in_words_and_without_payloads(settings: Settings, browser: Chrome) -> None:
    topic = topic_of(settings, "video")
    poison = [(b"key", f"{{{SECRET}".encode())] * 60 + [(b"key", video("created", 7, title=SECRET * 100))] * 20
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        await publish(settings, topic, events(40))
        await publish(settings, topic, poison)
        wanted = r"^67 % of the records of the last minute became dead letters: 80, most of them not_json$"
        await says(browser, "#headline", wanted)
        await says(browser, "#level", "^Trouble$")
        await says(browser, "#fix", "reelsync dlq list --reason not_json")
        rows = {row[0]: row for row in await asyncio.to_thread(rows_of_table, browser, "letters")}
        assert (rows["not_json"][1], rows["invalid"][1]) == ("60", "20")
        assert rows["not_json"][2].count(f"reelsync dlq show {topic}/") == 3
        page = await asyncio.to_thread(lambda: browser.page_source)
        assert SECRET not in page
        await asyncio.to_thread(photograph, browser, "storm", 1280, 390)
        assert console(browser) == []


async def test_a_lock_that_holds_everything_up_is_told_in_words(
    settings: Settings, browser: Chrome, operator_url: str
) -> None:
    """A spike of lag, and its cause."""
    operator = create_single_use_engine(operator_url)
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        async with operator.connect() as connection:
            await connection.execute(text("LOCK TABLE videos IN EXCLUSIVE MODE"))
            await publish(settings, topic_of(settings, "video"), events(500))
            await says(browser, "#headline", "^A write fails and is tried again: another session holds a lock")
            await says(browser, "#further", "500 records to go, and none was applied in the last")
            await says(browser, "#tiles", r"Lag\s+500")
            await asyncio.to_thread(photograph, browser, "lag", 1280, 390)
        await says(browser, "#level", "^OK$")
        await until_applied(settings)
        assert console(browser) == []


async def test_a_halted_partition_is_told_with_its_remedy(settings: Settings, browser: Chrome) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(b"one key", value) for _, value in events(10)])
    async with shown(settings, browser) as consumer:
        await until_applied(settings)
        held = next(partition for partition, position in consumer.source.positions.items() if position)
        async with consumer.engine.begin() as connection:
            moved = text("UPDATE consumer_offsets SET next_offset = 1000 WHERE (topic, partition) = (:topic, :number)")
            await connection.execute(moved, held._asdict())
        await publish(settings, topic, [(b"one key", value) for _, value in events(1, 11)])
        await says(browser, "#headline", f"^1 partition halted: {held}: the position is 1000, the log ends at 11")
        await says(browser, "#fix", f"reelsync offsets reset {held.topic} {held.number} --to earliest")
        first = (await asyncio.to_thread(rows_of_table, browser, "partitions"))[0]
        assert first[0] == str(held)
        assert first[5].startswith("halted (truncated): ")
        await asyncio.to_thread(photograph, browser, "halted", 1280, 390)
        assert console(browser) == []


async def test_a_consumer_that_is_gone_is_told_at_once(settings: Settings, browser: Chrome) -> None:
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        assert console(browser) == []
    await says(browser, "#connection", r"^Not connected since \d\d:\d\d:\d\d$")
    await says(browser, "#headline", r"^Not connected since .*: the consumer does not answer$")
    assert "Not connected since" in await asyncio.to_thread(text_of, browser, "#announcement")
    await asyncio.to_thread(photograph, browser, "gone", 1280, 390)
    assert all("net::ERR_CONNECTION_REFUSED" in line for line in console(browser))


async def test_what_looks_like_markup_is_text(settings: Settings, browser: Chrome) -> None:
    name = "<img src=x onerror=alert(1)>"
    named = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"group_id": name})})
    async with shown(named, browser):
        await says(browser, "#headline", "^Caught up")
        assert await asyncio.to_thread(text_of, browser, "#group") == name
        assert console(browser) == []


async def test_the_policy_lets_nothing_else_run(settings: Settings, browser: Chrome) -> None:
    """What a script in the page could do if there were a hole: nothing."""
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        # Later, because the policy does not hold for what the driver itself evaluates.
        attempt = """
            const done = arguments[arguments.length - 1], script = document.createElement("script");
            const holes = {
                script: () => { script.textContent = "window.ran = true"; document.body.append(script); },
                parsed: () => { document.body.innerHTML = "<p>parsed</p>"; window.ran = true; },
                eval: () => { window.eval("window.ran = true"); },
                style: () => { document.body.setAttribute("style", "color: red");
                               window.ran = document.body.style.color !== ""; },
            };
            setTimeout(() => done(Object.keys(holes).filter(hole => {
                window.ran = false;
                try { holes[hole](); } catch { return false; }
                return window.ran;
            })));
        """
        assert await asyncio.to_thread(browser.execute_async_script, attempt) == []
        refusals = console(browser)
        assert any("Content Security Policy" in line for line in refusals), refusals
