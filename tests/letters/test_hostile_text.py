"""What strangers wrote into records and tables reaches a terminal as text alone, by each command and each log line."""

import asyncio
import json
import signal
import unicodedata
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.settings import Settings
from tests.letters.commanding import run_inside
from tests.support.builders import an_id, structured
from tests.support.processes import process
from tests.support.running import consuming, publish, topic_of, until_applied

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x7f\u202egpj\u2066\u2069\u200e\u200f\u061c\u200b\u2028\u2029\ufeff"
"""Every kind that a terminal may obey or hide: C0, ESC, C1, DEL, directions, zero widths, separators."""
COMMANDS = [
    ("dlq", "list"),
    ("dlq", "list", "--count"),
    ("dlq", "export"),
    ("dlq", "redrive", "--all", "--dry-run"),
    ("dlq", "redrive", "--all"),
    ("dlq", "discard", "--all", "--because", HOSTILE),
    ("dlq", "restore", "--all", "--because", HOSTILE, "--by", HOSTILE),
    ("trace", f"invalid{HOSTILE}"),
    ("trace", f"unknown{HOSTILE}"),
    ("trace", an_id(1)),
    ("verify", "--values"),
    ("lag",),
    ("offsets", "show"),
    ("check",),
]


def hostile_records() -> list[tuple[bytes, bytes]]:
    """One of a type that nobody knows, one that is invalid, one that is no JSON; all of them hostile where they can."""
    ids = {"video_id": an_id(1), "user_id": an_id(2), "version": 1}
    return [
        (HOSTILE.encode(), structured(f"video.{HOSTILE}", ids, id=f"unknown{HOSTILE}")),
        (an_id(1).encode(), structured("video.created", ids | {HOSTILE: HOSTILE}, id=f"invalid{HOSTILE}")),
        (b"\x9b31m", f"no json {HOSTILE}".encode() + b"\x9b\xff"),
    ]


def speaks(said: str) -> set[str]:
    """What of it is not shown as a character of its own."""
    return {one for one in said if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"} and one != "\n"}


def documents(said: str) -> Any:
    """JSON, or JSON Lines."""
    return json.loads(said) if said.startswith(("[", "{\n")) else [json.loads(line) for line in said.splitlines()]


async def add_hostile_rows(engine: AsyncEngine, group: str) -> None:
    """A topic can have no such name; the tables can. And no producer of the tests sends headers."""
    place = {"group": group, "topic": f"topic{HOSTILE}"}
    detail = orjson.dumps({"problems": [{"path": HOSTILE, "message": HOSTILE}], HOSTILE: HOSTILE}).decode()
    letter = place | {"detail": detail, "headers": [[f"name{HOSTILE}".encode(), b"\x9b\xff\x1b[2J"]]}
    async with engine.begin() as connection:
        await connection.execute(text(_LETTER), letter)
        await connection.execute(text(_POSITION), place)


_LETTER = """
    INSERT INTO dead_letters (consumer_group, topic, partition, "offset", record_timestamp, crc, key, headers, stage,
                              reason, detail, event_id, event_type)
    SELECT :group, t, 0, 7, 0, 0, convert_to(t, 'UTF8'), CAST(:headers AS bytea[]), 'decode',
           'not_json', CAST(:detail AS jsonb), t, t
      FROM (SELECT CAST(:topic AS text) AS t) AS s
"""
_POSITION = "INSERT INTO consumer_offsets (consumer_group, topic, partition, next_offset) VALUES (:group, :topic, 0, 7)"


async def test_no_command_says_anything_to_a_terminal(settings: Settings, engine: AsyncEngine) -> None:
    await publish(settings, topic_of(settings, "video"), hostile_records())
    async with consuming(settings):
        await until_applied(settings)
    await add_hostile_rows(engine, settings.kafka.group_id)
    listed = json.loads((await run_inside(settings, "dlq", "list", "--json")).stdout)
    assert f"video.{HOSTILE}" in {row["event_type"] for row in listed}, "a machine reads the very value"
    shown = [("dlq", "show", f"{row['topic']}/{row['partition']}/{row['offset']}") for row in listed]
    assert len(shown) == 4
    told = ""
    for command in [*shown, *COMMANDS]:
        for form in ((), ("--json",)):
            if form and command[:2] == ("dlq", "export"):
                continue
            done = await run_inside(settings, *command, *form)
            assert not speaks(done.stdout + done.stderr), (command, speaks(done.stdout + done.stderr))
            assert "Traceback" not in done.stderr, done.stderr
            if form:
                documents(done.stdout)
            told += done.stdout
    assert told.count("owned") > 20


@pytest.mark.parametrize("style", ["console", "json"])
async def test_a_consumer_of_such_records_logs_text(settings: Settings, engine: AsyncEngine, style: str) -> None:
    await add_hostile_rows(engine, settings.kafka.group_id)
    await publish(settings, topic_of(settings, "video"), hostile_records())
    variables = {"REELSYNC_LOG__FORMAT": style, "REELSYNC_LOG__LEVEL": "DEBUG"}
    with process(settings, "-m", "reelsync.consumer", "run", **variables) as consumer:
        await until_applied(settings)
        consumer.send_signal(signal.SIGTERM)
        assert consumer.stderr
        logged = await asyncio.to_thread(consumer.stderr.read)
    assert "consumer.stopped" in logged
    assert not speaks(logged)
