"""What a verification found."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reelsync.consumer.operations.obstacles import Obstacle
from reelsync.consumer.records import Partition

from .changes import Row

Kind = Literal["differs", "missing", "unlogged", "no_letter"]
_KEPT_OF_A_CAUSE = 1_000


class Finding(NamedTuple):
    """A row that is not as the log has it, in these `columns`; or a record that was lost.

    differs: the log gives other values. missing: the row does not exist. unlogged: no event in the log explains it.
    no_letter: a record carries no valid event and has no dead letter; `row_id` is its place.
    """

    kind: Kind
    table: str
    row_id: str
    columns: tuple[str, ...]
    expected: Row
    held: Row

    @property
    def cause(self) -> "Cause":
        """What it has in common with others: most likely they have one reason."""
        return Cause(self.kind, self.table, self.columns)


class Cause(NamedTuple):
    """Findings of one kind, in the same columns of one table."""

    kind: Kind
    table: str
    columns: tuple[str, ...]


@dataclass
class Report:
    """What was compared, and what was found."""

    records: int = 0
    """Records read and folded, once each."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows compared, by table."""
    causes: Counter[Cause] = field(default_factory=Counter)
    """Findings, counted by what they have in common."""
    ahead: int = 0
    """Rows that hold events above the group's position, or of letters that are parked or discarded.

    The group is replaying, or another group has applied them; or a replay applied a record that has become valid since
    it was parked.
    """
    waiting_for_names: int = 0
    """Users that have no name while their parked conflict waits."""
    corrected: int = 0
    """Rows that differ and that a redriven correction changed whose content was removed since."""
    without_position: list[Partition] = field(default_factory=list)
    """Partitions for which the group has no position: nothing of them was read."""
    incomplete: dict[Partition, str] = field(default_factory=dict)
    """Partitions that no longer hold every record that was written to them, and why: they cannot explain every row."""
    obstacles: list[Obstacle] = field(default_factory=list)
    """Partitions that could not be read whole. Which rows their other events changed is not known."""
    uncertain: int = 0
    """Rows that differ in a way that an event could explain that was not read."""
    _kept: dict[Cause, list[Finding]] = field(default_factory=dict)

    @property
    def found(self) -> Counter[Kind]:
        """Findings, counted by their kind."""
        kinds: Counter[Kind] = Counter()
        for cause, count in self.causes.items():
            kinds[cause.kind] += count
        return kinds

    @property
    def explains_all(self) -> bool:
        """Whether the log that was read must explain every row that services did not write."""
        return not self.incomplete and not self.obstacles

    @property
    def findings(self) -> list[Finding]:
        """The first thousand of each cause."""
        return self.first(_KEPT_OF_A_CAUSE)

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room."""
        self.causes[finding.cause] += 1
        if self.causes[finding.cause] <= _KEPT_OF_A_CAUSE:
            self._kept.setdefault(finding.cause, []).append(finding)

    def first(self, limit: int) -> list[Finding]:
        """The first findings of each cause, those of the most frequent cause first."""
        return [finding for cause, _ in self.causes.most_common() for finding in self.first_of(cause, limit)]

    def first_of(self, cause: Cause, limit: int) -> list[Finding]:
        """The first findings of this cause."""
        return self._kept[cause][:limit]
