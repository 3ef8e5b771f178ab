"""The whole harness at its smallest: real servers, real contenders, in processes of their own."""

import io
import json
from pathlib import Path

from rich.console import Console

from benchmarks.run import Options, chosen, run

_RIGHT = {"database-1", "reelsync-1"}


async def test_a_run_measures_everybody_and_finds_the_rows_that_are_wrong(tmp_path: Path) -> None:
    named = chosen("disorder", "database-1,reelsync-1,faststream,orm")
    printed = io.StringIO()
    options = Options(
        events=3_000,
        rounds=1,
        workloads=named.workloads,
        contenders=named.contenders,
        json=tmp_path / "figures.json",
        plot=tmp_path / "figures.svg",
    )
    summaries = await run(options, Console(file=printed))
    assert {summary.contender for summary in summaries} == {contender.name for contender in named.contenders}
    for summary in summaries:
        # Whoever has no guard on versions goes wrong under disorder: also the proof that wrong rows are found.
        assert summary.wrong_rows is not None
        assert (summary.wrong_rows == 0) == (summary.contender in _RIGHT), summary
        assert summary.rate > 0
        assert summary.peak_memory > 10_000_000
        assert summary.rows_per_event > 0
        assert summary.wal_per_event > 0
    written = json.loads(options.json.read_bytes()) if options.json else {}
    assert [result["contender"] for result in written["results"]] == [summary.contender for summary in summaries]
    assert "not Apache Kafka" in written["machine"]["broker"]
    assert "not Apache Kafka" in printed.getvalue()
    assert "<svg" in (tmp_path / "figures.svg").read_text()
