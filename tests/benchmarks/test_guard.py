from typing import Any

import pytest

from benchmarks.guard import LIMITS, Round, faults, ratios, work
from benchmarks.measure import Turn
from benchmarks.published_log import PublishedLog
from benchmarks.workloads import WORKLOADS
from reelsync.consumer.transform.decode import Decode, decoder

_YARDSTICK = 5e-6


def test_what_was_seen_passes() -> None:
    assert faults([_round(), _round()]) == []


@pytest.mark.parametrize("name", LIMITS)
def test_a_ratio_beyond_its_limit_is_told(name: str) -> None:
    limit = LIMITS[name]
    beyond = limit.value * (1.1 if limit.is_most else 0.9)
    (told,) = faults([_round(**{name: beyond})] * 2)
    assert told == f"{limit.of}: {beyond:.2f}, {limit}"


def test_one_round_on_a_busy_machine_fails_nothing() -> None:
    disturbed = _round(client=20, postgres=20, rate=0.001)
    assert faults([disturbed, _round(), _round()]) == []


def test_a_machine_of_half_the_speed_gives_the_same_ratios() -> None:
    assert ratios([_round(speed=0.5)]) == pytest.approx(ratios([_round()]))


def test_one_wrong_row_in_any_round_is_told() -> None:
    assert faults([_round(), _round(wrong_rows=1), _round()]) == ["reelsync left 1 rows wrong"]


def test_decoding_three_times_is_beyond_the_limit_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def thrice(*settings: Any) -> Decode:
        decode = decoder(*settings)
        return lambda record: (decode(record), decode(record), decode(record))[2]

    monkeypatch.setattr("benchmarks.guard.decoder", thrice)
    log = PublishedLog(WORKLOADS["lifecycle"], 1, 20_000, "videos", 6, "template", expected=False)
    assert not LIMITS["work"].is_kept(work(log))


def _round(
    *,
    work: float = 1.1,
    client: float = 1.7,
    postgres: float = 0.7,
    rows: float = 1.2,
    rate: float = 0.3,
    speed: float = 1.0,
    wrong_rows: int = 0,
) -> Round:
    price = _YARDSTICK / speed
    alone = _turn(200_000 * speed, 1e-7, price, written=1_000, wrong_rows=0)
    rate *= 200_000 * speed
    return Round(
        alone,
        _turn(rate, client * price, price, written=round(rows * 1_000), wrong_rows=wrong_rows)._replace(
            postgres_cpu=postgres * price * alone.events
        ),
        work,
    )


def _turn(rate: float, cpu: float, price: float, *, written: int, wrong_rows: int) -> Turn:
    return Turn(
        events=1_000,
        seconds=1_000 / rate,
        client_cpu=cpu * 1_000,
        postgres_cpu=None,
        broker_cpu=None,
        peak_memory=1,
        rows_written=written,
        wal_bytes=1,
        wrong_rows=wrong_rows,
        second_half_rate=rate,
        yardstick=price,
    )
