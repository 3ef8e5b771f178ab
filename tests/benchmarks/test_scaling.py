import pytest

from benchmarks.scaling import PARTS, as_rows, cases, scaling
from benchmarks.servers import servers


def test_each_part_grows_one_thing() -> None:
    for part in PARTS:
        first, *others = cases([part], 200_000, large=True)
        grown = {(case.rows_before, case.partitions, case.workload.name) for case in others}
        assert len(others) == len({case.size for case in others}), part
        assert part == "backlog" or first.size in {first.rows_before, first.partitions, 340}
        assert part == "backlog" or len(grown) == len(others)


def test_the_long_ones_are_left_out_unless_asked_for() -> None:
    assert {case.size for case in cases(["table"], 1_000, large=False)} == {10_000, 1_000_000}
    assert {case.size for case in cases(["table"], 1_000, large=True)} == {10_000, 1_000_000, 10_000_000}


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="there is no tables, only table, backlog"):
        cases(["tables"], 1_000, large=False)


async def test_large_values_are_measured() -> None:
    case = cases(["payload"], 1_000, large=False)[-1]
    with servers() as started:
        found = await scaling(started, [case], 1, lambda _: None)
    (row,) = as_rows(found)
    assert (row["part"], row["size"], row["events"], row["of the small case"]) == ("payload", 30_000, 1_000, 1.0)
    assert row["MB/s"] == pytest.approx(row["events/s"] * 30_000 / 1e6, abs=0.1)
    assert row["peak MB"] > 10
