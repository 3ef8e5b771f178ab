"""The states of videos, kept from some day on, or no longer: what `verify`, `rebuild` and erasures make of them."""

from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.cli.rebuild import run_rebuild
from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.settings import Settings
from tests.operations.test_archive import archived
from tests.operations.test_rebuild import applied
from tests.support.builders import an_id, user, video
from tests.support.erasing import erased
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied
from tests.support.topics import delete_topic

STATES = "video_states"
DAMAGE = (
    f"UPDATE {STATES} SET status = 'failed', error_code = 'x', at = at + interval '1 s' WHERE version % 3 = 0",
    f"DELETE FROM {STATES} WHERE version % 3 = 1",
    f"INSERT INTO {STATES} VALUES ('{an_id(1)}', 999, 'failed', now(), 'x')",
)


def keeping(settings: Settings) -> Settings:
    return settings.model_copy(update={"batch": settings.batch.model_copy(update={"video_states": True})})


async def consumed(settings: Settings, *events: bytes) -> None:
    """Publish these events of videos, and apply all that was published."""
    await publish(settings, topic_of(settings, "video"), [(b"v", event) for event in events])
    async with consuming(settings):
        await until_applied(settings)


async def states_of(settings: Settings) -> list[dict[str, Any]]:
    return await rows_of(settings, STATES, "video_id, version")


async def test_it_is_kept_from_some_day_on_and_a_rebuild_fills_in_the_rest_from_an_archive_too(
    settings: Settings, migrating: Settings, operator: AsyncConnection, tmp_path: Path
) -> None:
    await applied(settings, 41, events=300)
    assert await states_of(settings) == []
    late = [video(kind, number, 200 + at) for number in range(12) for at, kind in enumerate(("processing", "failed"))]
    await consumed(keeping(settings), *late)
    kept = await states_of(settings)
    assert {row["version"] for row in kept} == {200, 201}
    found = (await run_verification(keeping(settings), 3)).findings
    assert {(finding.kind, finding.table) for finding in found} == {("missing", STATES)}
    assert not (await run_verification(settings, 0)).found, "there they are not asked for"

    await archived(settings, tmp_path)
    for topic in settings.kafka.topics:
        await delete_topic(settings, topic)
    report = await run_rebuild(keeping(migrating), archive=tmp_path)
    assert {part.table: part.added for part in report.tables if part.added} == {STATES: len(found)}
    whole = await states_of(settings)
    assert len(whole) == len(kept) + len(found)
    assert all(row in whole for row in kept)
    assert not (await run_verification(keeping(settings), 0, tmp_path)).found

    for statement in DAMAGE:
        await operator.execute(text(statement))
    findings = (await run_verification(keeping(settings), 0, tmp_path)).findings
    assert {(finding.kind, finding.table) for finding in findings} == {
        (kind, STATES) for kind in ("differs", "missing", "unlogged")
    }
    await run_rebuild(keeping(migrating), exactly=True, archive=tmp_path)
    assert await states_of(settings) == whole


async def test_what_was_kept_is_erased_with_its_video_also_where_no_more_is_kept(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await consumed(keeping(settings), *(video("created", number, owner=number) for number in (1, 2, 3)))
    before = await states_of(settings)
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), None)])
    await publish(settings, topic_of(settings, "user"), [(b"u", user("created", 2)), (b"u", erased(2).value)])
    await consumed(settings)
    assert [str(row["video_id"]) for row in before] == [an_id(1), an_id(2), an_id(3)]
    left = before[2:]
    assert await states_of(settings) == left
    # As if a restore had lost the erasures.
    await operator.execute(text("DELETE FROM erased_users"))
    unerased = ", ".join(f"{name}_version = 1" for name in ("details", "state", "start", "output", "deletion"))
    owner = f"user_id = '{an_id(1003)}', version = 1, {unerased}"
    await operator.execute(text(f"UPDATE videos SET {owner} WHERE version > 1"))
    again = f"INSERT INTO {STATES} SELECT id, 1, 'pending', now() FROM videos WHERE id <> '{an_id(3)}'"
    assert (await operator.execute(text(again))).rowcount == 2
    await run_rebuild(migrating, exactly=True)
    assert await states_of(settings) == left, "what is not kept any more is not removed, unless it is erased"
