"""`reelsync check`."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import typer
from rich.markup import escape

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.escaping import printable
from reelsync.consumer.kafka.admission import ask_to_join
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.group_members import GroupMember, members_of_group
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.neighbours import division
from reelsync.consumer.offsets.check import ONE_DATABASE
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.operations.standing import standings, stored_positions
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.preflight import (
    BROKERS,
    DATABASE,
    check_database,
    check_relay_topic,
    check_schema,
    check_topics,
    check_writes,
    clear_text_warnings,
)
from reelsync.consumer.records import partitions_of
from reelsync.consumer.settings import Settings
from reelsync.models.pooler import Pooler

from .logs import topics_of_group
from .offsets import held_back
from .terminal import err, load, out, plural, print_json, run_async


def check(*, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    results = run_async(_results(settings))
    warnings = clear_text_warnings(settings)
    if json:
        print_json(
            [
                {"check": name, "ok": not wrong, "message": wrong or found, "warning": warnings.get(name)}
                for name, found, wrong in results
            ]
        )
    else:
        out.print(_mark(ok=True), "settings")
        for name, found, problem in results:
            out.print(_mark(ok=not problem), escape(printable(f"{name} – {problem or found}")), soft_wrap=True)
            if name in warnings:
                out.print("[yellow]![/]", escape(f"{name} – {warnings[name]}"), soft_wrap=True)
    if any(problem for _, _, problem in results):
        raise typer.Exit(1)


def _mark(*, ok: bool) -> str:
    if not out.encoding.startswith("utf"):
        return "[green]ok[/]" if ok else "[red]wrong:[/]"
    return "[green]✓[/]" if ok else "[red]✗[/]"


async def _results(settings: Settings) -> list[tuple[str, str, str | None]]:
    """For each check: its name, what it found, and the problem, if there is one."""
    cluster: tuple[str | None, Mapping[str, int]] | None = None
    usable = False

    async def brokers() -> str:
        nonlocal cluster
        cluster = await KafkaLog(settings.kafka).cluster()
        return f"{settings.kafka.bootstrap_servers} answers, with {len(cluster[1])} topics"

    async def topics_exist() -> str:
        if cluster is None:
            raise ReelsyncError(f"not checked, because {BROKERS} could not be used")
        topics = cluster[1]
        found = check_topics(topics, settings.kafka)
        check_relay_topic(topics, settings.dead_letters.relay_topic)
        return ", ".join(f"{topic} ({partitions} partitions)" for topic, partitions in found.items())

    async def schema() -> str:
        nonlocal usable
        found = await _schema(settings)
        usable = True
        return found

    def known() -> tuple[str | None, Mapping[str, int]]:
        if cluster is None or not usable:
            raise ReelsyncError(f"not checked, because {BROKERS if cluster is None else DATABASE} could not be used")
        return cluster

    async def positions() -> str:
        return await _positions(settings, *known())

    async def group() -> str:
        known()
        return await _group(settings)

    with err.status("Checking…"):
        checks = {BROKERS: brokers, "topics": topics_exist, DATABASE: schema, "positions": positions, "group": group}
        return [await _result(name, act) for name, act in checks.items()]


async def _schema(settings: Settings) -> str:
    revision = await check_schema(settings.database)
    pooler = await check_database(settings.database)
    await check_writes(settings.database, settings.kafka.group_id)
    return f"at revision {revision}{_behind(pooler, settings.database.pooler)}"


async def _positions(settings: Settings, cluster_id: str | None, topics: Mapping[str, int]) -> str:
    wanted = partitions_of(await topics_of_group(settings, topics))
    found = await standings(settings.kafka, cluster_id, wanted, await stored_positions(settings))
    if halted := [f"{one.partition}: {one.problem}" for one in found if one.halt]:
        raise ReelsyncError(f"{plural(len(halted), 'partition')} halted. " + "\n".join(halted))
    held = [f"\n{one.partition} is held back: {held_back(one)}" for one in found if one.held_back]
    to_go = plural(sum(one.lag or 0 for one in found), "record")
    return f"{to_go} to go in {plural(len(found), 'partition')}" + "".join(held)


async def _group(settings: Settings) -> str:
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            own = await Ledger(engine, settings.kafka.group_id).home()
    finally:
        await engine.dispose()
    async with diagnosed(settings.kafka):
        members = await members_of_group(settings.kafka)
        await ask_to_join(settings.kafka)
    if foreign := [member for member in members if member.is_foreign]:
        raise ReelsyncError(
            " ".join(map(_stranger, foreign)) + " Give it, or reelsync, another group (REELSYNC_KAFKA__GROUP_ID)"
        )
    told = [(member.address, member.home) for member in members if member.home]
    if why := division(own, Counter(home for _, home in told)):
        hosts = ", ".join(sorted({address.lstrip("/") for address, home in told if home.digest != own.digest}))
        raise ReelsyncError(f"{why}. The others are at {hosts}: {ONE_DATABASE}")
    return f"{plural(len(members), 'member')}, known to write to this database: {len(told)}"


def _stranger(member: GroupMember) -> str:
    held = ", ".join(map(str, member.partitions)) or "no partition at present"
    return (
        f"another program is a member of the group (client.id {member.client_id} at {member.address.lstrip('/')}) and "
        f"holds {held}: what is in its partitions is not applied."
    )


def _behind(found: Pooler, configured: Pooler) -> str:
    if found != "none":
        return f", behind a pooler in {found} mode"
    return "" if configured == "none" else f", and no pooler was detected (REELSYNC_DATABASE__POOLER is {configured})"


async def _result(name: str, act: Callable[[], Awaitable[str]]) -> tuple[str, str, str | None]:
    try:
        return name, await act(), None
    except ReelsyncError as error:
        return name, "", str(error)
