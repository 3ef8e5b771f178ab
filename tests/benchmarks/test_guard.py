from benchmarks.guard import LEAST_OF_CEILING, MOST_OF_CALIBRATION, Round, faults, ratios
from benchmarks.measure import Turn

_CALIBRATION = 5e-6


def test_what_was_seen_passes() -> None:
    assert faults([_round(), _round()]) == []


def test_a_reelsync_that_keeps_less_of_the_ceiling_is_told() -> None:
    slow = _round(rate=200_000 * LEAST_OF_CEILING * 0.9)
    assert ["of the ceiling" in fault for fault in faults([slow, slow])] == [True]


def test_a_reelsync_that_needs_more_cpu_is_told() -> None:
    costly = _round(cpu=_CALIBRATION * MOST_OF_CALIBRATION * 1.1)
    assert ["CPU" in fault for fault in faults([costly, costly])] == [True]


def test_one_round_on_a_busy_machine_fails_nothing() -> None:
    disturbed = _round(rate=1_000, cpu=_CALIBRATION * 20)
    assert faults([disturbed, _round(), disturbed]) == []


def test_a_machine_of_half_the_speed_gives_the_same_ratios() -> None:
    slower = _round(rate=30_000, ceiling=100_000, cpu=20e-6, calibration=2 * _CALIBRATION)
    assert ratios([slower]) == ratios([_round(rate=60_000, cpu=10e-6)])


def test_one_wrong_row_in_any_round_is_told() -> None:
    assert faults([_round(), _round(wrong_rows=1), _round()]) == ["reelsync left 1 rows wrong"]


def _round(
    *,
    rate: float = 60_000,
    ceiling: float = 200_000,
    cpu: float = 10e-6,
    calibration: float = _CALIBRATION,
    wrong_rows: int = 0,
) -> Round:
    return Round(_turn(ceiling, 1e-7, 0), _turn(rate, cpu, wrong_rows), calibration)


def _turn(rate: float, cpu: float, wrong_rows: int) -> Turn:
    return Turn(
        events=1_000,
        seconds=1_000 / rate,
        client_cpu=cpu * 1_000,
        postgres_cpu=None,
        broker_cpu=None,
        peak_memory=1,
        rows_written=1,
        wal_bytes=1,
        wrong_rows=wrong_rows,
        second_half_rate=rate,
    )
