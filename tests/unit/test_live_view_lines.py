"""The lines of the live view, for terminals of any width."""

import pytest
from rich.console import Console, RenderableType

from reelsync.consumer.counters import added_up
from reelsync.consumer.status.document import Status
from reelsync.consumer.status.snapshot import Member
from reelsync.consumer.status.summary import status_of
from reelsync.consumer.status.terminal import frame, last_frame
from reelsync.consumer.telemetry.metrics import Metrics

GROUP = "[red]group[/red]"


def status(*members: Member, not_live: tuple[str, ...] = ()) -> Status:
    return status_of(GROUP, 1_000.0, 940.0, members, added_up(Metrics().families()), not_live=not_live, not_ready=[])


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
    assert heading.split() == ["worker", "process", "partitions", "rate", "lag", "event", "age", "restarts", "state"]
    (narrow,) = [line for line in lines(frame(status(*TWO), 40), 40) if line.startswith("worker")]
    assert narrow.split() == ["worker", "rate", "lag", "state"]
    assert not any(line.startswith("worker") for line in lines(frame(status(TWO[0]), 200), 200))


def test_what_looks_like_markup_is_text() -> None:
    assert any(line.rstrip().endswith(f"group\N{NO-BREAK SPACE}{GROUP}") for line in lines(frame(status(), 200), 200))


def test_one_line_remains() -> None:
    assert lines(last_frame(status()), 80) == ["Ended after 60 s: 0 records, 0 dead letters"]
