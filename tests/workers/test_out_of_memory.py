"""A worker that has no memory left ends like one that is killed: it is started again, and the other goes on."""

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.memory_limits import limit_addresses
from tests.support.packed_batches import Given, packed, send_packed
from tests.support.processes import process
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.workers.supervised import working

MIB = 1 << 20
KEY = an_id(1).encode()


async def test_it_is_started_again_and_the_others_go_on(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    async with working(settings) as workers:
        before = await workers.pids()
        owner = next(
            partition["worker"]
            for partition in (await workers.client.status())["partitions"]
            if (partition["topic"], partition["partition"]) == (topic, 0)
        )
        limit_addresses(before[owner])
        await send_packed(settings, topic, packed([Given(KEY, b"{", 100 * MIB)], "zstd"))

        async def is_back() -> bool:
            status = await workers.all()
            return [w["restarts"] for w in status if w["number"] == owner] == [1] and await workers.ready()()

        await eventually(is_back, "the worker is back")
        await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(2, 20)])
        await until_applied(settings)
        after = await workers.pids()
        other = 3 - owner
        assert (after[other], after[owner] != before[owner]) == (before[other], True)
        code, said = workers.stop()
    assert code == 0, said
    assert "error: the process has not enough memory" in said
    assert [letter["reason"] for letter in await rows_of(settings, "dead_letters")] == ["too_large"]
    assert len(await rows_of(settings, "videos")) == 18


async def test_a_single_process_says_so_in_one_line(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    with process(settings, "-m", "reelsync.consumer", "run") as running:

        async def reads() -> bool:
            return bool(await rows_of(settings, "consumer_offsets"))

        await eventually(reads, "it consumes")
        limit_addresses(running.pid)
        await send_packed(settings, topic, packed([Given(KEY, b"{", 100 * MIB)], "zstd"))
        _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    assert said.splitlines()[-1].startswith("error: the process has not enough memory")
    assert "Traceback" not in said
    async with consuming(settings):
        await until_applied(settings)
    assert [letter["reason"] for letter in await rows_of(settings, "dead_letters")] == ["too_large"]
