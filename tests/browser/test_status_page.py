"""The status page in a real browser, of a real consumer, while servers and publishers misbehave.

The browser asks the consumer of this process, so it is driven from another thread: the loop must be free to answer.
"""

import asyncio
import os
import re
import signal
from contextlib import suppress

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from sqlalchemy import text

from reelsync.consumer.settings import Settings
from reelsync.models.engine import create_single_use_engine
from tests.browser.chromium import console
from tests.browser.page import (
    axe_violations,
    events,
    open_topics,
    partitions,
    photograph,
    rows_of_table,
    says,
    shown,
    text_of,
)
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

        await asyncio.to_thread(open_topics, browser)

        async def all_positions() -> bool:
            read = await asyncio.to_thread(partitions, browser)
            return sum(int(position.replace(",", "")) for position, *_ in read.values()) == 3_000

        await eventually(all_positions, "the positions of all records")
        read = await asyncio.to_thread(partitions, browser)
        assert len(read) == 9
        assert {state for *_, state in read.values()} == {"reading"}
        queries = {row[0]: row for row in await asyncio.to_thread(rows_of_table, browser, "statements")}
        assert {"videos.merge", "users.merge", "offsets.fence", "commit"} <= queries.keys()
        assert queries["videos.merge"][2] == "0"
        await says(
            browser, "#phases", r"(?s)^poll\s+\d+ %.*decode\s+\d+ %.*fold\s+\d+ %.*write\s+\d+ %.*commit\s+\d+ %"
        )
        assert "of 50" in await asyncio.to_thread(text_of, browser, "#pool")
        assert await asyncio.to_thread(browser.execute_script, "return window.sameDocument")
        await asyncio.to_thread(photograph, browser, "busy", 1280, 390)
        assert console(browser) == []


async def test_the_values_of_a_moment_are_shown_in_all_charts(settings: Settings, browser: Chrome) -> None:
    """Of the moment under the pointer, or that the arrow keys chose; also when the charts are drawn anew."""
    await publish(settings, topic_of(settings, "video"), events(300))
    async with shown(settings, browser):
        await until_applied(settings)
        await says(browser, "#charts", r"Throughput \(records\)\s+now [\d,.]+/s, most [\d,.]*[1-9]")
        plot = await asyncio.to_thread(browser.find_element, By.CSS_SELECTOR, ".plot")
        right = plot.size["width"] // 2 - 2
        await asyncio.to_thread(ActionChains(browser).move_to_element_with_offset(plot, right, 0).perform)
        await says(browser, "#charts", r"(?s)(\d\d:\d\d:\d\d: .*){4}")
        await asyncio.to_thread(browser.execute_script, "window.plot = document.querySelector('.plot')")

        async def drawn_anew() -> bool:
            return not await asyncio.to_thread(browser.execute_script, "return window.plot.isConnected")

        await eventually(drawn_anew, "the charts are drawn anew")
        assert len(re.findall(r"\d\d:\d\d:\d\d: ", await asyncio.to_thread(text_of, browser, "#charts"))) == 4
        await asyncio.to_thread(ActionChains(browser).move_to_element(browser.find_element(By.ID, "group")).perform)
        await says(browser, "#charts", r"Lag \(records to go\)\s+now 0, most")
        charts = browser.find_element(By.ID, "charts")
        await asyncio.to_thread(charts.send_keys, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
        await says(browser, "#announcement", r"^Throughput \(records\) \d\d:\d\d:\d\d: .*Dead letters \d\d:\d\d:\d\d: ")
        assert console(browser) == []


async def test_a_topic_stays_open_and_in_focus(settings: Settings, browser: Chrome) -> None:
    topic = topic_of(settings, "video")
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        button = await asyncio.to_thread(browser.find_element, By.ID, f"topic-{topic}")
        await asyncio.to_thread(button.send_keys, Keys.ENTER)
        assert set(await asyncio.to_thread(partitions, browser)) == {f"{topic}/{number}" for number in range(3)}
        await publish(settings, topic, events(30))

        async def all_positions() -> bool:
            read = await asyncio.to_thread(partitions, browser)
            return len(read) == 3 and sum(int(position) for position, *_ in read.values()) == 30

        await eventually(all_positions, "the table was drawn anew")
        assert await asyncio.to_thread(lambda: browser.switch_to.active_element.get_attribute("id")) == f"topic-{topic}"
        await asyncio.to_thread(browser.switch_to.active_element.send_keys, Keys.SPACE)
        assert await asyncio.to_thread(partitions, browser) == {}


async def test_a_few_values_far_above_the_others_are_cut_off(settings: Settings, browser: Chrome) -> None:
    """The scripts of the page, asked for the axis of some values."""
    async with shown(settings, browser):
        await says(browser, "#headline", "^Caught up")
        days = 20 * 86_400
        for values, top, above in (
            ([1.5] * 50 + [days] * 5, 2, 5),
            ([1.5] * 50 + [days] * 50, days, 0),
            ([3, days], days, 0),
            ([None, 0, 0], 1, 0),
            ([230] * 20, 240, 0),
        ):
            script = "const {top, above} = axisOf(arguments[0], SECONDS); return [top, above];"
            assert await asyncio.to_thread(browser.execute_script, script, values) == [top, above]


async def test_several_workers_are_told_apart(settings: Settings, browser: Chrome) -> None:
    async with working(settings) as workers:
        await asyncio.to_thread(browser.get, workers.client.base)
        await says(browser, "#headline", "^Caught up: nothing waits in 9 partitions")
        rows = await asyncio.to_thread(rows_of_table, browser, "workers")
        assert {int(row[0]): int(row[1]) for row in rows} == await workers.pids()
        assert sum(int(row[2]) for row in rows) == 9
        await asyncio.to_thread(open_topics, browser)
        assert {row[3] for row in (await asyncio.to_thread(partitions, browser)).values()} == {"1", "2"}
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
            await says(browser, "#tiles", r"Lag Attention\s+500")
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
        (alone,) = (await asyncio.to_thread(partitions, browser)).items()
        assert alone[0] == str(held)
        assert alone[1][3].startswith("halted (truncated): ")
        await says(browser, "#partitions", "2 reading, 1 halted")
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
