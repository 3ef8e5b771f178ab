"""Contenders on one workload, in rounds, so that a slow minute of the machine affects all of them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from benchmarks.contender_processes import BenchmarkError
from benchmarks.contenders import Contender
from benchmarks.forms import Form
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
    """A summary for each contender that can read one of the workload's forms.

    Slow contenders, which need fewer events, share a shorter log of the same kind. `before` is called with the name of
    each turn.

    Raises:
        BenchmarkError: a contender ended, or made no progress.
    """
    taking_part = {contender: form for contender in contenders if (form := contender.form_of(workload.forms))}
    turns: dict[str, list[Turn]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        logs: dict[tuple[int, Form], PublishedLog] = {}
        given: dict[Contender, PublishedLog] = {}
        for contender, form in taking_part.items():
            size = max(_LEAST_EVENTS, round(events * contender.share))
            if (size, form) not in logs:
                log = published(servers, workload, seed=seed, events=size, partitions=partitions, form=form)
                logs[size, form] = await stack.enter_async_context(log)
            given[contender] = logs[size, form]
        for _ in range(rounds):
            for contender, log_of_it in given.items():
                before(f"{workload.name}: {contender.title}")
                try:
                    turn = await measure(servers, log_of_it, contender)
                except BenchmarkError as error:
                    raise BenchmarkError(f"{contender.title}, {workload.name}: {error}") from error
                turns[contender.name].append(turn)
    return summaries(workload.name, list(taking_part), turns)


def summaries(workload: str, contenders: Sequence[Contender], turns: dict[str, list[Turn]]) -> list[Summary]:
    """One line for each contender, compared with the ceiling that has as many connections."""
    alone = {
        contender.waits: summarise(workload, contender, turns[contender.name], None).rate
        for contender in contenders
        if contender.is_ceiling
    }
    return [
        summarise(workload, contender, turns[contender.name], alone.get(contender.waits)) for contender in contenders
    ]
