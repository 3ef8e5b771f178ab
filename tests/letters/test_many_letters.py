"""Many letters: changed page by page in the database, listed without holding them all, imported with a bound."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters import jsonl, queries
from reelsync.consumer.dead_letters.closing import discard, restore
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import KEY_NAMES, Entry
from reelsync.consumer.settings import Settings
from tests.letters.commanding import run_inside
from tests.letters.parking import counted, park, videos
from tests.support.roles import TEST_SCHEMA
from tests.support.writing import GROUP

A_PAGE = 7
LETTERS = 30
PAGES = [7, 7, 7, 7, 2]


@pytest.fixture
def letters_settings(database: str) -> Settings:
    return Settings.model_validate({"kafka": {"group_id": GROUP}, "database": {"url": database, "schema": TEST_SCHEMA}})


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """What is sent meanwhile, with its parameters."""
    sent: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        sent.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", keep)


async def test_a_page_of_letters_is_changed_by_one_statement_without_their_keys(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelsync.consumer.dead_letters.closing.LETTERS_AT_ONCE", A_PAGE)
    await park(engine, videos(LETTERS))
    for act, state in ((discard, "discarded"), (restore, "parked")):
        with statements(engine) as sent:
            assert await act(engine, GROUP, Selection(), Entry("why")) == LETTERS
        changes = [parameters for statement, parameters in sent if "UPDATE dead_letters" in statement]
        assert len(changes) == len(PAGES) + 1
        assert len(sent) == 2 * len(changes), "and the turn, in each transaction"
        assert max(map(len, changes)) < A_PAGE * len(KEY_NAMES)
        assert await counted(engine) == {(state, 1): LETTERS}


async def test_the_list_is_read_a_page_at_a_time(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "LISTED_AT_ONCE", A_PAGE)
    await park(engine, videos(LETTERS))
    async with engine.connect() as connection:
        pages = [page async for page in queries.latest(connection, GROUP, Selection(), LETTERS)]
    assert [len(page) for page in pages] == PAGES
    assert len({row["offset"] for page in pages for row in page}) == LETTERS


@pytest.mark.parametrize("limit", [0, 1, A_PAGE, A_PAGE + 1, LETTERS])
async def test_a_list_of_many_pages_is_one_array_and_as_many_as_were_asked_for(
    engine: AsyncEngine, letters_settings: Settings, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(queries, "LISTED_AT_ONCE", A_PAGE)
    await park(engine, videos(limit + 1) if limit else [])
    asked = ("dlq", "list", "--limit", str(limit or 1))
    listed = json.loads((await run_inside(letters_settings, *asked, "--json")).stdout)
    assert [sorted(row) for row in listed] == [sorted(listed[0])] * limit if limit else listed == []
    shown = await run_inside(letters_settings, *asked)
    assert shown.stderr.count("Dead letters of group") == min(limit, 1)
    assert shown.stdout.count("aggregate id") == -(-limit // A_PAGE)
    assert ("there are more" in shown.stderr, "No dead letters." in shown.stdout) == (limit > 0, limit == 0)


class Endless(io.RawIOBase):
    """Goes on with the same bytes, and counts what was taken."""

    def __init__(self, again: bytes) -> None:
        self._again = again
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        for at in range(len(buffer)):
            buffer[at] = self._again[(self.taken + at) % len(self._again)]
        self.taken += len(buffer)
        return len(buffer)


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (b"x", "line 1 has more than 1,000 bytes"),
        (b"\n", "more than 300 lines"),
        (b"y" * 99 + b"\n", "line 41 is beyond 4,000 bytes"),
    ],
    ids=["a line", "lines", "all of it"],
)
def test_a_file_without_an_end_is_read_no_further_than_a_bound(
    monkeypatch: pytest.MonkeyPatch, again: bytes, said: str
) -> None:
    for name, bound in (("LINE_BYTES", 1_000), ("LINES", 300), ("TOTAL_BYTES", 4_000)):
        monkeypatch.setattr(jsonl, name, bound)
    source = Endless(again)
    with pytest.raises(jsonl.TooMuchError, match=said):
        list(jsonl.bounded_lines(io.BufferedReader(source, 64)))
    assert source.taken < 5_000


async def test_an_import_without_an_end_stores_nothing_and_names_the_bound(letters_settings: Settings) -> None:
    done = await run_inside(letters_settings, "dlq", "import", "/dev/zero")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: line 1 has more than 33,554,432 bytes")
    assert "Nothing was stored" in done.stderr
