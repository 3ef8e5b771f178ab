"""What campaigns found, and the one table of it. `python -m tests.faults.outcomes FILE…` puts several runs together."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from statistics import median, quantiles

_COLUMNS = ["fault", "servers", "seeds", "records", "faults", "seen", "lost", "doubled", "wrong"]
_COLUMNS += ["median, s", "p95, s", "max, s"]
_P95 = 18
"""Among the 19 limits between twentieths."""


@dataclass(frozen=True)
class Outcome:
    """What a campaign found. `happened` counts how often its fault was seen, each kind in its own way."""

    fault: str
    seed: int
    records: int
    happened: int
    lost: int
    doubled: int
    wrong: list[str]
    recoveries: list[float]
    """Of each fault: seconds from its end until all that had been published was applied."""
    servers: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether each record had its effect once, the fault happened, and the rows are those of the oracle."""
        return self.happened > 0 and (self.lost, self.doubled, self.wrong) == (0, 0, [])


def write(outcomes: Iterable[Outcome], path: Path) -> None:
    """Keep them for a table of several runs."""
    path.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1), "utf-8")


def table(outcomes: Iterable[Outcome]) -> str:
    """A row for each kind of fault, and one for all, in Markdown."""
    known = sorted(outcomes, key=lambda outcome: outcome.fault)
    kinds = [(fault, list(found)) for fault, found in groupby(known, lambda outcome: outcome.fault)]
    cells = [_cells(fault, found) for fault, found in [*kinds, (f"all {len(kinds)} kinds", known)]]
    return "\n".join(_lines([_COLUMNS, ["---"] * len(_COLUMNS), *cells]))


def _cells(fault: str, found: Sequence[Outcome]) -> list[str]:
    recoveries = [seconds for outcome in found for seconds in outcome.recoveries]
    counts = (
        sum(outcome.records for outcome in found),
        len(recoveries),
        sum(outcome.happened for outcome in found),
        sum(outcome.lost for outcome in found),
        sum(outcome.doubled for outcome in found),
        sum(len(outcome.wrong) for outcome in found),
    )
    servers = ", ".join(sorted({outcome.servers for outcome in found}))
    seeds = " ".join(str(seed) for seed in sorted({outcome.seed for outcome in found}))
    return [fault, servers, seeds, *(f"{count:,}" for count in counts), *_recovery(recoveries)]


def _recovery(seconds: Sequence[float]) -> list[str]:
    """Median, 95th percentile and maximum."""
    if not seconds:
        return ["–"] * 3
    high = quantiles(seconds, n=20, method="inclusive")[_P95] if len(seconds) > 1 else seconds[0]
    return [f"{value:.1f}" for value in (median(seconds), high, max(seconds))]


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def main(paths: Sequence[str]) -> None:
    """Print the table of what is in the files."""
    rows = [row for path in paths for row in json.loads(Path(path).read_text("utf-8"))]
    sys.stdout.write(table(Outcome(**row) for row in rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
