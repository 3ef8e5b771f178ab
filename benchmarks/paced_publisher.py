"""Publishes lifecycle records at a given rate, each with the time at which it is handed over."""

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from aiokafka import AIOKafkaProducer

from benchmarks.published_log import partition_of
from benchmarks.workloads import LogRecord, lifecycle

_TICK_SECONDS = 0.002
"""At high rates, records that are due within this time are sent together."""


async def main(bootstrap_servers: str, topic: str, partitions: int, rate: float, seconds: float) -> None:
    """Publish for this many seconds; prints the number of records, and the rate that was reached."""
    total = round(rate * seconds)
    records = lifecycle(1, total)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks=1)
    await producer.start()
    try:
        started = time.perf_counter()
        sent = 0
        waiting: set[asyncio.Future[object]] = set()
        while sent < total:
            due = min(total, 1 + int((time.perf_counter() - started) * rate))
            for future in await _send(producer, topic, partitions, islice(records, due - sent)):
                waiting.add(future)
                future.add_done_callback(waiting.discard)
            sent = due
            await asyncio.sleep(max(_TICK_SECONDS, started + sent / rate - time.perf_counter()))
        reached = sent / (time.perf_counter() - started)
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    print(sent, round(reached, 1), flush=True)


async def _send(
    producer: AIOKafkaProducer, topic: str, partitions: int, records: Iterable[LogRecord]
) -> list[asyncio.Future[object]]:
    """Send what is due: one batch for each partition that has records."""
    batches = {}
    for record in records:
        number = partition_of(record.key, partitions)
        if number not in batches:
            batches[number] = producer.create_batch()
        while batches[number].append(key=record.key, value=record.value, timestamp=_now_ms()) is None:
            await producer.send_batch(batches[number], topic, partition=number)
            batches[number] = producer.create_batch()
    return [await producer.send_batch(batch, topic, partition=number) for number, batch in batches.items()]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _arguments(given: Iterator[str]) -> tuple[str, str, int, float, float]:
    return next(given), next(given), int(next(given)), float(next(given)), float(next(given))


if __name__ == "__main__":
    asyncio.run(main(*_arguments(iter(sys.argv[1:]))))
