import time
from types import SimpleNamespace

from benchmarks.latency import latency
from benchmarks.observed_consumer import Ages, percentiles
from benchmarks.servers import servers
from reelsync.consumer.observer import Written


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentiles(range(1, 201)) == {"p50": 100, "p99": 198, "max": 200}
    assert percentiles([7.0]) == {"p50": 7.0, "p99": 7.0, "max": 7.0}
    assert percentiles([]) == {}


def test_every_record_of_a_batch_has_its_own_age_and_the_first_seconds_do_not_count() -> None:
    now = time.time() * 1000
    ages = Ages(cold_seconds=2)
    ages.observe(_batch(now - 60_000, now - 59_000), [])
    ages.observe(_batch(now - 50_000, now - 10_000), [Written(write_seconds=0.004, commit_seconds=0.002)])
    said = ages.as_json()
    assert ages.records == 4
    assert '"records": 2' in said
    assert '"age_p50": 10' in said
    assert '"age_max": 50' in said
    assert '"commit_p99": 2.0' in said


async def test_a_short_run_finds_an_age_and_the_databases_part_of_it() -> None:
    with servers() as started:
        (idle, found) = await latency(started, ["0", "200"], seconds=4)
    assert idle["records"] == 0
    assert 0 <= idle["core %"] < found["core %"]
    assert found["rate"] == 200
    assert found["records"] > 0
    assert 0 < found["commit_p50"] <= found["age_max"]


def _batch(*stamps: float) -> SimpleNamespace:
    return SimpleNamespace(count=len(stamps), records=[SimpleNamespace(timestamp=stamp) for stamp in stamps])
