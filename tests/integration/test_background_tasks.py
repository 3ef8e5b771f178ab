"""An error in a task beside the path ends nothing: it is logged and counted, and the task goes on."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from reelsync.consumer import app, background
from reelsync.consumer.app import Consumer
from reelsync.consumer.background import Task
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from tests.support.builders import an_id, video
from tests.support.http_client import PATIENCE, quick, served
from tests.support.running import eventually, publish, rows_of, topic_of, until_applied

Place = Callable[[Consumer], tuple[Any, str]]
TASKS: dict[Task, Place] = {
    "lag": lambda consumer: (consumer.metrics, "lags"),
    "log_summary": lambda consumer: (consumer.seen, "log_summary"),
    "redrive": lambda _: (app, "redrive_conflicts"),
    "retention": lambda _: (app, "blank_expired"),
    "relay": lambda consumer: (consumer.relay, "relay_some"),
    "probe": lambda consumer: (consumer.monitor.probe, "ask"),
    "heartbeat": lambda consumer: (consumer.health.heartbeat, "beat"),
}
"""A call that each task makes again and again."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_SHORTEST", 0.02)
    monkeypatch.setattr(background, "_LONGEST", 0.2)
    monkeypatch.setattr(app, "_SUMMARY_SECONDS", 0.1)


@pytest.fixture
async def relaying(settings: Settings, broker: EmbeddedBroker) -> Settings:
    topic = f"{settings.kafka.group_id}-dead-letters"
    await broker.create_topics({topic: 1})
    dead_letters = settings.dead_letters.model_copy(update={"relay_topic": topic})
    return quick(settings.model_copy(update={"dead_letters": dead_letters}))


class Broken:
    """A function that raises a few times, and then does what it did."""

    def __init__(self, call: Any, times: float) -> None:
        self.call, self.times, self.raised, self.worked = call, times, 0, 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self.raised < self.times:
            self.raised += 1
            raise RuntimeError("swordfish")
        self.worked += 1
        return self.call(*arguments, **options)


@pytest.mark.parametrize("task", TASKS)
async def test_a_task_that_fails_is_started_again_and_events_are_consumed(
    relaying: Settings, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[Broken]()

    def break_it(consumer: Consumer) -> None:
        owner, name = TASKS[task](consumer)
        made.append(Broken(getattr(owner, name), times=2))
        monkeypatch.setattr(owner, name, made[0])

    monkeypatch.setattr(Consumer, "__post_init__", then(Consumer.__post_init__, break_it))
    videos = topic_of(relaying, "video")
    with capture_logs() as logs:
        async with served(relaying) as (consumer, client):
            records = [(an_id(n).encode(), video("created", n)) for n in range(20)]
            await publish(relaying, videos, [*records, (b"?", b"poison")])
            await until_applied(relaying)

            async def works() -> bool:
                return (made[0].raised, made[0].worked > 0) == (2, True)

            await eventually(works, "it failed twice, and works")
            assert (await client.get("/livez")).status == 200
            status = await client.status()
            assert status["counts"]["task_failures"] == {task: 2}
            assert [notice["text"] for notice in status["notices"] if notice["kind"] == "task"] == [
                f"Background tasks failed in the last minute, and were started again: {task} (2 times)"
            ]
            counted = consumer.metrics.registry.get_sample_value
            assert counted("reelsync_background_task_failures_total", {"task": task}) == 2
    failed = [entry for entry in logs if entry["event"] == "task.failed"]
    assert [(entry["task"], entry["error"]) for entry in failed] == [(task, "RuntimeError")] * 2
    assert "swordfish" not in str(logs)
    assert len(await rows_of(relaying, "videos")) == 20


@pytest.mark.parametrize("task", ["probe", "heartbeat"])
async def test_a_task_that_fails_for_good_is_no_reason_to_restart_the_process(
    relaying: Settings, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the probe an idle consumer seems to be stuck, and without a heartbeat the loop seems to be blocked."""
    impatient = relaying.model_copy(update={"http": relaying.http.model_copy(update={"blocked_seconds": 2.0})})
    async with served(impatient) as (consumer, client):
        await eventually(client.answers("/readyz", 200), "ready")
        owner, name = TASKS[task](consumer)
        monkeypatch.setattr(owner, name, Broken(None, times=float("inf")))
        since = time.monotonic()

        async def patience_is_over() -> bool:
            assert (await client.get("/livez")).json == {"ok": True, "reasons": []}
            return time.monotonic() - since > PATIENCE + 1

        await eventually(patience_is_over, "longer than a silence that is not live")
        assert consumer.metrics.task_failures.counts()[task] > 3


def then(made: Callable[[Any], None], more: Callable[[Any], None]) -> Callable[[Any], None]:
    def both(self: Any) -> None:
        made(self)
        more(self)

    return both
