"""What `reelsync run` shows in a terminal, seen in a real one."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable

import pytest

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.running import eventually, publish, topic_of, until_applied
from tests.workers.pseudo_terminal import PseudoTerminal

HIDE_CURSOR, UP = b"\x1b[?25l", b"\x1b[1A"


def shows(terminal: PseudoTerminal, wanted: str) -> Callable[[], Awaitable[bool]]:
    async def is_shown() -> bool:
        return re.search(wanted, "\n".join(terminal.lines)) is not None

    return is_shown


async def sees(terminal: PseudoTerminal, wanted: str) -> None:
    try:
        await eventually(shows(terminal, wanted), wanted)
    except AssertionError:
        pytest.fail(f"{wanted!r} is not shown:\n" + "\n".join(terminal.lines))


async def test_how_it_goes_is_below_the_log_and_one_line_of_it_remains(settings: Settings) -> None:
    terminal = PseudoTerminal(120, 30)
    with terminal.running(settings, "run") as running:
        await sees(terminal, "OK: Caught up: nothing waits in 9 partitions")
        poison = [(an_id(n).encode(), video("created", n) if n % 2 else b"poison") for n in range(300)]
        await publish(settings, topic_of(settings, "video"), poison)
        await until_applied(settings)
        await sees(terminal, r"Trouble: 50 % of the records of the last minute became dead letters: 150, most of them")
        await sees(terminal, r"Throughput\s[\d.]*[1-9][\d.]*/s   Event\sage\s\d+\sdays   Lag\s0   Dead\sletters\s150 ")
        await sees(terminal, r"(?m)^PostgreSQL\sanswers   Kafka\sanswers   Throughput")
        await sees(terminal, r"(?m)^Time of the last minute   poll\s\d+\s% .* commit\s\d+\s%")
        await sees(terminal, rf"(?m)^{topic_of(settings, 'video')}   3 partitions reading   lag\s0")
        lines = terminal.lines
        logged = [number for number, line in enumerate(lines) if re.search(r"consumer\.started +group=", line)]
        (figures,) = [number for number, line in enumerate(lines) if line.startswith("PostgreSQL")]
        assert logged, lines
        assert max(logged) < figures, "the view is below"
        running.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(running.wait, 60) == 0
        await sees(terminal, r"(?m)^Ended after .*: 300 records, 150 dead letters$")
        last = [line for line in terminal.lines if line]
        assert sum(line.startswith("Ended after") for line in last) == 1
        assert not any(line.startswith("PostgreSQL") for line in last), "nothing of the view is left behind"
        assert any("consumer.stopped" in line for line in last)


async def test_workers_have_a_row_each_in_a_narrow_terminal_and_in_a_wide_one(settings: Settings) -> None:
    terminal = PseudoTerminal(40, 24)
    with terminal.running(settings, "run", "--workers", "2") as running:
        await sees(terminal, r"(?m)^2 +0/s +0 +consumes$")
        await sees(terminal, r"(?m)^1 +0/s +0 +consumes$")
        assert not await shows(terminal, "(?m)^worker .* restarts")()
        terminal.resize(running, 110, 24)
        await sees(terminal, r"(?m)^worker +process +partitions +throughput +lag +event age +restarts +state$")
        await sees(terminal, r"(?m)^2 +\d+ +\d +0/s +0 +– +0 +consumes$")
        running.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.wait, 60) == 0
        await sees(terminal, r"(?m)^Ended after .*: 0 records, 0 dead letters$")
        assert await shows(terminal, r"consumer\.stopped +worker=2")(), "what workers log is above"


@pytest.mark.parametrize(
    ("option", "variables", "drawn"),
    [
        ([], {}, True),
        (["--no-live"], {}, False),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"TERM": "dumb"}, False),
        ([], {"REELSYNC_LOG__FORMAT": "json"}, False),
    ],
)
async def test_who_asks_for_logs_alone_gets_them(
    settings: Settings, option: list[str], variables: dict[str, str], *, drawn: bool
) -> None:
    """And the error that ends it is told below, whole, in either case."""
    terminal = PseudoTerminal(220, 24)
    url = re.sub(r"//(\w+):[^@]+@", r"//\1:wrong@", settings.database.url.get_secret_value())
    with terminal.running(settings, "run", *option, REELSYNC_DATABASE__URL=url, **variables) as running:
        assert await asyncio.to_thread(running.wait, 60) == 1
        await sees(terminal, "the user or the password is refused")
        assert (HIDE_CURSOR in terminal.bytes) == drawn
        assert ("Ended after" in "\n".join(terminal.lines)) == drawn
        assert "http.listening" in "\n".join(terminal.lines)
