"""`reelsync check`."""

from collections.abc import Awaitable, Callable, Mapping

import typer
from rich.markup import escape

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.escaping import printable
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.standing import standings, stored_positions
from reelsync.consumer.preflight import (
    BROKERS,
    DATABASE,
    check_database,
    check_relay_topic,
    check_schema,
    check_topics,
    clear_text_warnings,
)
from reelsync.consumer.records import partitions_of
from reelsync.consumer.settings import Settings
from reelsync.models.pooler import Pooler

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
        revision = await check_schema(settings.database)
        pooler = await check_database(settings.database)
        usable = True
        return f"at revision {revision}{_behind(pooler, settings.database.pooler)}"

    async def positions() -> str:
        if cluster is None or not usable:
            raise ReelsyncError(f"not checked, because {BROKERS if cluster is None else DATABASE} could not be used")
        return await _positions(settings, *cluster)

    with err.status("Checking…"):
        return [
            await _result(BROKERS, brokers),
            await _result("topics", topics_exist),
            await _result(DATABASE, schema),
            await _result("positions", positions),
        ]


async def _positions(settings: Settings, cluster_id: str | None, topics: Mapping[str, int]) -> str:
    wanted = partitions_of({topic: topics.get(topic, 0) for topic in settings.kafka.topics})
    found = await standings(settings.kafka, cluster_id, wanted, await stored_positions(settings, wanted))
    if halted := [f"{one.partition}: {one.problem}" for one in found if one.halt]:
        raise ReelsyncError(f"{plural(len(halted), 'partition')} halted. " + "\n".join(halted))
    return f"{plural(sum(one.lag for one in found), 'record')} to go in {plural(len(found), 'partition')}"


def _behind(found: Pooler, configured: Pooler) -> str:
    if found != "none":
        return f", behind a pooler in {found} mode"
    return "" if configured == "none" else f", and no pooler was detected (REELSYNC_DATABASE__POOLER is {configured})"


async def _result(name: str, act: Callable[[], Awaitable[str]]) -> tuple[str, str, str | None]:
    try:
        return name, await act(), None
    except ReelsyncError as error:
        return name, "", str(error)
