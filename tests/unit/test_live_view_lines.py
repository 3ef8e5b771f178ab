"""The lines of the live view, for terminals of any width."""

import pytest
from rich.console import Console, RenderableType

from reelsync.consumer.counters import added_up
from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.records import Partition
from reelsync.consumer.status.document import Status
from reelsync.consumer.status.history import Step
from reelsync.consumer.status.snapshot import Member
from reelsync.consumer.status.summary import status_of
from reelsync.consumer.status.terminal import frame, last_frame
from reelsync.consumer.telemetry.metrics import Metrics
from tests.support.reports import NOW, report

GROUP = "[red]group[/red]"


def status(*members: Member, not_live: tuple[str, ...] = ()) -> Status:
    return status_of(GROUP, NOW, NOW - 60, members, added_up(Metrics().families()), not_live=not_live, not_ready=[])


def lines(shown: RenderableType, width: int) -> list[str]:
    console = Console(width=width, height=100)
    with console.capture() as captured:
        console.print(shown)
    return captured.get().split("\n")[:-1]


TWO = (Member(1, 4_000_000), Member(2, None, 3, absent="ended (SIGKILL) and is started again"))


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_the_last_is_empty(width: int) -> None:
    shown = lines(frame(status(*TWO, not_live=("no progress for 200 s",)), width), width)
    assert max(len(line.rstrip()) for line in shown) <= width
    assert shown[-1].strip() == ""


def test_the_worst_is_first_with_what_to_do() -> None:
    shown = lines(frame(status(*TWO, not_live=("no progress for 200 s",)), 200), 200)
    assert shown[0].startswith("Trouble: Stuck: no progress for 200 s. What to do: restart this process")
    assert any(line.startswith("Attention: Worker 2 ended (SIGKILL) and is started again") for line in shown)


def test_a_row_for_each_of_several_workers_and_none_for_one() -> None:
    (heading,) = [line for line in lines(frame(status(*TWO), 200), 200) if line.startswith("worker")]
    columns = ["worker", "process", "partitions", "throughput", "lag", "event", "age", "restarts", "state"]
    assert heading.split() == columns
    (narrow,) = [line for line in lines(frame(status(*TWO), 40), 40) if line.startswith("worker")]
    assert narrow.split() == ["worker", "throughput", "lag", "state"]
    assert not any(line.startswith("worker") for line in lines(frame(status(TWO[0]), 200), 200))


@pytest.mark.parametrize("width", [30, 40, 80, 120])
def test_a_figure_is_on_one_line_with_its_name(width: int) -> None:
    shown = lines(frame(status(TWO[0]), width), width)
    for whole in ("Event age –", "Dead letters 0", "Time of the last minute", "Up 60 s", "PostgreSQL –"):
        assert any(whole in line for line in shown), whole


def test_servers_come_first_and_each_topic_has_a_line() -> None:
    partitions = {Partition(topic, number): 5 for topic in ("users", "videos") for number in range(12)}
    halted = {Partition("videos", 7): Halt("truncated", "it was truncated")}
    spent = [Step(int(NOW / 5), phases={"write": 3.0, "commit": 1.0})]
    given = report(*partitions, positions=partitions, ends=partitions, halted=halted, steps=spent)
    shown = [line.rstrip() for line in lines(frame(status(Member(1, 11, report=given)), 160), 160)]
    servers = "PostgreSQL answers   Kafka answers   "
    (first,) = [number for number, line in enumerate(shown) if line.startswith(servers)]
    assert shown[first + 1 : -1] == [
        "Time of the last minute   write 75 %   commit 25 %",
        "users   12 partitions reading   lag 0",
        "videos   11 partitions reading, 1 partition halted   lag 0",
    ]


def test_what_looks_like_markup_is_text() -> None:
    assert any(line.rstrip().endswith(f"Group {GROUP}") for line in lines(frame(status(), 200), 200))


def test_one_line_remains() -> None:
    assert lines(last_frame(status()), 80) == ["Ended after 60 s: 0 records, 0 dead letters"]
