"""`reelsync check`."""

from collections.abc import Awaitable, Callable

import typer
from rich.markup import escape

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.escaping import printable
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.preflight import (
    BROKERS,
    DATABASE,
    check_brokers,
    check_pooler,
    check_relay_topic,
    check_schema,
    check_topics,
    clear_text_warnings,
)
from reelsync.consumer.settings import Settings
from reelsync.models.pooler import Pooler

from .terminal import JsonOption, err, load, out, print_json, run_async


def check(json: JsonOption = False) -> None:
    """Check settings, brokers, topics, database and schema, and print a fix for each problem.

    Example: reelsync check --json
    """
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
    """For each check, its name, what it found, and what is wrong."""
    topics: dict[str, int] = {}

    async def brokers() -> str:
        topics.update(await check_brokers(KafkaLog(settings.kafka)))
        return f"{settings.kafka.bootstrap_servers} answers, with {len(topics)} topics"

    async def topics_exist() -> str:
        found = check_topics(topics, settings.kafka)
        check_relay_topic(topics, settings.dead_letters.relay_topic)
        return ", ".join(f"{topic} ({partitions} partitions)" for topic, partitions in found.items())

    async def schema() -> str:
        revision = await check_schema(settings.database)
        return f"at revision {revision}{_behind(await check_pooler(settings.database), settings.database.pooler)}"

    with err.status("Checking…"):
        return [
            await _result(BROKERS, brokers),
            await _result("topics", topics_exist),
            await _result(DATABASE, schema),
        ]


def _behind(found: Pooler, configured: Pooler) -> str:
    if found != "none":
        return f", behind a pooler in {found} mode"
    return "" if configured == "none" else f", and no pooler shows (REELSYNC_DATABASE__POOLER is {configured})"


async def _result(name: str, act: Callable[[], Awaitable[str]]) -> tuple[str, str, str | None]:
    try:
        return name, await act(), None
    except ReelsyncError as error:
        return name, "", str(error)
