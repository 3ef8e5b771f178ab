"""Contenders side by side on one workload, in rounds: a slow minute of the machine hits all of them alike."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from benchmarks.contender_processes import BenchmarkError
from benchmarks.contenders import Contender
from benchmarks.measure import Turn, measure
from benchmarks.published_log import PublishedLog, published
from benchmarks.servers import Servers
from benchmarks.summary import Summary, summarise
from benchmarks.workloads import Workload

_LEAST_EVENTS = 1_200
Listener = Callable[[str], None]


async def compare(  # noqa: PLR0913 - what a comparison is made of
    servers: Servers,
    workload: Workload,
    contenders: Sequence[Contender],
    *,
    events: int,
    rounds: int,
    seed: int,
    partitions: int,
    before: Listener,
) -> list[Summary]:
    """A summary of each contender. Those that need fewer events share a shorter log of the same kind.

    `before` is told whose turn begins.

    Raises:
        BenchmarkError: a contender ended, or stood still.
    """
    sizes = {contender.name: max(_LEAST_EVENTS, round(events * contender.share)) for contender in contenders}
    turns: dict[str, list[Turn]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        logs: dict[int, PublishedLog] = {}
        for size in sorted(set(sizes.values())):
            log = published(servers, workload, seed=seed, events=size, partitions=partitions)
            logs[size] = await stack.enter_async_context(log)
        for _ in range(rounds):
            for contender in contenders:
                before(f"{workload.name}: {contender.title}")
                try:
                    turn = await measure(servers, logs[sizes[contender.name]], contender)
                except BenchmarkError as error:
                    raise BenchmarkError(f"{contender.title}, {workload.name}: {error}") from error
                turns[contender.name].append(turn)
    return summaries(workload.name, contenders, turns)


def summaries(workload: str, contenders: Sequence[Contender], turns: dict[str, list[Turn]]) -> list[Summary]:
    """Each contender's turns as one line, beside the ceiling of as many connections."""
    alone = {
        contender.waits: summarise(workload, contender, turns[contender.name], None).rate
        for contender in contenders
        if contender.is_ceiling
    }
    return [
        summarise(workload, contender, turns[contender.name], alone.get(contender.waits)) for contender in contenders
    ]
