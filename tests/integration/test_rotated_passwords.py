"""The database's password changes while records flow, and the consumer goes on with the new one."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

ROUNDS = 5
RECORDS = 100


async def test_a_password_that_is_changed_again_and_again_loses_nothing(
    settings: Settings, database: str, operator: AsyncConnection, tmp_path: Path
) -> None:
    role, file = f"rotated_{secrets.token_hex(4)}", tmp_path / "password"
    await operator.execute(text(f"CREATE ROLE {role} LOGIN IN ROLE reelsync_run"))

    async def change() -> None:
        password = secrets.token_urlsafe(12)
        await operator.execute(text(f"ALTER ROLE {role} PASSWORD '{password}'"))
        (tmp_path / "next").write_text(f"{password}\n")
        (tmp_path / "next").rename(file)

    await change()
    url = make_url(database).set(username=role, password=None).render_as_string()
    options = {"url": SecretStr(url), "password_file": str(file), "pool_recycle": 0}
    changing = settings.model_copy(
        update={
            "database": settings.database.model_copy(update=options),
            "batch": settings.batch.model_copy(update={"max_records": 10}),
        }
    )
    topic = topic_of(settings, "video")
    try:
        async with consuming(changing):
            for number in range(ROUNDS):
                await change()
                changed_at = await operator.scalar(text("SELECT clock_timestamp()"))
                first = number * RECORDS
                keys = [(an_id(n).encode(), video("created", n)) for n in range(first, first + RECORDS)]
                await publish(settings, topic, keys)
                await eventually(_logged_in_since(operator, role, changed_at), "the new password was used")
                await until_applied(settings)
        assert len(await rows_of(settings, "videos")) == ROUNDS * RECORDS
    finally:
        await operator.execute(text(f"DROP ROLE {role}"))


def _logged_in_since(operator: AsyncConnection, role: str, moment: object) -> Callable[[], Awaitable[bool]]:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE usename = :role AND backend_start > :moment")

    async def logged_in() -> bool:
        return bool(await operator.scalar(query, {"role": role, "moment": moment}))

    return logged_in
