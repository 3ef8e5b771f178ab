"""`reelsync trace`: where is my event?"""

import asyncio
import json

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.cli.trace import as_json_document, run_trace
from reelsync.consumer.operations.trace.outcome import Seen
from reelsync.consumer.operations.trace.search import Needle
from reelsync.consumer.settings import DEFAULT_TOPICS, Settings
from reelsync.consumer.transform.decode import decoder
from tests.support.builders import an_id, record, structured, usage, user, video
from tests.support.decoding import decode
from tests.support.processes import run_command
from tests.support.row_changes import CAPTURED_AT, row_change, topics, video_row
from tests.support.running import consuming, publish, topic_of, until_applied


async def traced(settings: Settings, wanted: str, *topics: str) -> dict[str, list[dict[str, object]]]:
    return as_json_document(await run_trace(settings, wanted, list(topics) or None, None))


def fates(report: dict[str, list[dict[str, object]]]) -> list[tuple[object, object]]:
    return [(found["type"], found["what"]) for found in report["found"]]


async def test_a_life_is_told_record_by_record(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    life = [
        video("created"),
        video("processing", version=2),
        video("progressed", version=3, progress=101),
        video("completed", version=4),
        video("created", 2),
    ]
    await publish(settings, topic, [(b"v", value) for value in life])
    async with consuming(settings):
        await until_applied(settings)
    await publish(settings, topic, [(b"v", video("updated", version=5, title="SECRET TITLE"))])
    report = await traced(settings, an_id(1).upper().replace("-", ""))
    assert fates(report) == [
        ("video.created", "applied"),
        ("video.processing", "applied"),
        ("video.progressed", "dead_letter"),
        ("video.completed", "applied"),
        ("video.updated", "waiting"),
    ]
    assert "state by version 4" in str(report["found"][0]["fate"])
    assert "with 0 offsets to go" in str(report["found"][4]["fate"])
    assert [(row["table"], row["versions"]["version"]) for row in report["rows"]] == [("videos", 4)]
    for_people = await asyncio.to_thread(run_command, settings, "trace", an_id(1))
    assert for_people.returncode == 0
    assert "SECRET" not in for_people.stdout + for_people.stderr
    (one,) = (await traced(settings, "video.completed-4"))["found"]
    assert (one["type"], one["version"]) == ("video.completed", 4)


async def test_a_user_erased_a_fact_and_a_name_that_waits(settings: Settings) -> None:
    users = [
        (b"u", user("created", 1)),
        (an_id(1001).encode(), None),
        (b"u", user("created", 2, username="bob")),
        (b"u", user("created", 3, username="bob", email="3@example.com")),
    ]
    await publish(settings, topic_of(settings, "user"), users)
    await publish(settings, topic_of(settings, "model_usage"), [(b"m", usage())])
    async with consuming(settings):
        await until_applied(settings)
    erased = await traced(settings, an_id(1001))
    assert fates(erased)[0] == ("user.created", "erased")
    assert ("user.tombstone", "applied") in fates(erased)
    assert {row["erased"] for row in erased["rows"]} == {True}
    assert fates(await traced(settings, an_id(2001))) == [("model_usage.recorded", "applied")]
    waiting = await traced(settings, an_id(1003))
    assert fates(waiting) == [("user.created", "dead_letter")]
    assert "conflict" in str(waiting["found"][0]["fate"])


async def test_what_is_nowhere_says_where_it_looked(settings: Settings, operator: AsyncConnection) -> None:
    await publish(settings, topic_of(settings, "video"), [(b"v", video("created"))])
    async with consuming(settings):
        await until_applied(settings)
    nothing = await traced(settings, "01JNEVERSENT")
    assert (nothing["found"], len(nothing["looked"])) == ([], 9)
    assert sum(part["to"] for part in nothing["looked"]) == 1
    await operator.execute(text("DELETE FROM videos"))
    (lost,) = (await traced(settings, an_id(1)))["found"]
    assert (lost["what"], "verify" in str(lost["fate"])) == ("not_applied", True)
    elsewhere = ("trace", an_id(1), "--topic", topic_of(settings, "user"), "--json")
    done = await asyncio.to_thread(run_command, settings, *elsewhere)
    assert (done.returncode, len(json.loads(done.stdout)["looked"])) == (1, 3)


def test_wrong_words_are_a_usage_error(settings: Settings) -> None:
    for words, said in ((("--since", "yesterday"), "--since"), (("--topic", "no-such"), "REELSYNC_KAFKA__TOPICS")):
        done = run_command(settings, "trace", "x", *words)
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


def is_found(wanted: str, value: bytes | None, **fields: object) -> bool:
    needle, found = Needle(wanted), record(value, **fields)
    is_in = needle.is_in(Seen(found, decode(found, DEFAULT_TOPICS, 524_288)))
    assert not is_in or needle.may_be_in(found), "the quick look misses what is there"
    return is_in


def test_an_id_that_debezium_for_mysql_has_in_three_fields_is_found() -> None:
    source = {"ts_ms": CAPTURED_AT, "file": "binlog.000003", "pos": 154}
    found = row_change("c", video_row(), source=source)
    decode_captured = decoder(topics(version="source.ts_ms"), 524_288)
    for wanted, is_there in (("binlog.000003:154:0", True), ("binlog.000003:155:0", False)):
        needle = Needle(wanted)
        assert (needle.may_be_in(found) and needle.is_in(Seen(found, decode_captured(found)))) is is_there


def test_whatever_is_there_is_found_however_it_is_spelled() -> None:
    plain = an_id(1).replace("-", "").upper()
    data = {"video_id": plain, "user_id": an_id(1001), "version": 1}
    assert is_found(an_id(1), structured("video.deleted", data))
    assert is_found(plain, video("created"))
    assert is_found(an_id(1), None, key=plain.encode())
    assert is_found("a/b \u00e9", structured("video.deleted", data, id="a/b \u00e9"))
    assert is_found("01J-x", b'{"specversion":"1.0","id":"01J-x"}')
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"e7"), ("ce_source", b"/x"), ("ce_type", b"video.deleted")]
    assert is_found("e7", json.dumps(data).encode(), headers=[*headers, ("ce_time", b"2026-01-05T10:00:00Z")])
    assert not is_found(an_id(2), video("created"))
    assert not is_found(an_id(1001), video("created")), "a video is not its owner's event"
