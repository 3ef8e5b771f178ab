"""What a verification found."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reelsync.consumer.records import Partition

from .reference import Row

Kind = Literal["differs", "missing", "unlogged", "no_letter"]
_KEPT_FINDINGS = 10_000


class Finding(NamedTuple):
    """A row, or a record, of which something is to be said. `columns` are those that are not as the log has them.

    differs: the log has it otherwise. missing: the row is not there. unlogged: nothing in the log tells of it.
    no_letter: a record that is no event, and that is no dead letter either; `row_id` is its place.
    """

    kind: Kind
    table: str
    row_id: str
    columns: tuple[str, ...]
    expected: Row
    held: Row


@dataclass
class Report:
    """What was compared, and what was found."""

    records: int = 0
    """Records read and folded, once each."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows compared, by table."""
    found: Counter[Kind] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    """The first ten thousand of them."""
    ahead: int = 0
    """Rows that hold what records beyond the group's position say, or letters that are parked or discarded.

    It is replaying, or another group was there; or a replay applied what has become valid, and stays listed.
    """
    waiting_for_names: int = 0
    """Users that have no name while their parked conflict waits."""
    corrected: int = 0
    """Rows that differ, and that a correction by hand was redriven into of which nothing is left to compare with."""
    without_position: list[Partition] = field(default_factory=list)
    """Partitions that the group has not come to: nothing of them was read."""
    incomplete: dict[Partition, str] = field(default_factory=dict)
    """Partitions that do not hold all that was ever written to them, and why: they cannot account for every row."""

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room."""
        self.found[finding.kind] += 1
        if len(self.findings) < _KEPT_FINDINGS:
            self.findings.append(finding)
