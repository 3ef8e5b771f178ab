"""For brokers without topic ids: whether records that were fetched by name came from the expected log.

A topic that was deleted never comes back. So if the record that was taken last from a partition is still there after a
batch was fetched, the batch came from the same log.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import FencedError, KafkaFailedError, MisconfiguredError, UnavailableError
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.records import Anchor, Partition

_log = structlog.get_logger("reelsync.source")


class AnchorCheck:
    """Remembers the last record taken from each partition, and fetches it again, within `seconds`."""

    def __init__(self, log: KafkaLog, seconds: float) -> None:
        self._log = log
        self._seconds = seconds
        self._anchors: dict[Partition, Anchor] = {}

    def begin(self, partition: Partition, anchor: Anchor | None) -> None:
        """The partition continues after this record; None if nothing was taken from it before."""
        self._anchors.pop(partition, None)
        if anchor is not None:
            self._anchors[partition] = anchor

    async def confirm(
        self,
        read_by_name: Callable[[], Collection[Partition] | None],
        partitions: Collection[Partition],
        anchors: Mapping[Partition, Anchor],
    ) -> None:
        """Check that a batch of these partitions came from the right logs. `anchors` are its last records.

        Raises:
            FencedError: it did not, or its assignment ended (`read_by_name` says so by None) while no broker answered.
        """
        backoff = Backoff()
        while (by_name := read_by_name()) is not None:
            try:
                changed = await self._find_changed(set(by_name).intersection(partitions))
            except (KafkaFailedError, UnavailableError, MisconfiguredError) as error:
                _log.warning("anchor.unknown", error=describe(error))
                await backoff.wait()
                continue
            if changed:
                message = f"{', '.join(map(str, changed))} was created again after it was read last"
                raise FencedError(message)
            self._anchors.update(anchors)
            return
        message = "its partitions were assigned again meanwhile"
        raise FencedError(message)

    async def _find_changed(self, partitions: Iterable[Partition]) -> list[Partition]:
        """The partitions that have another record at that offset; one without any record there counts as unchanged.

        Raises:
            KafkaFailedError: the brokers did not answer.
        """
        known = {partition: self._anchors[partition] for partition in partitions if partition in self._anchors}
        found = await self._log.anchors({place: anchor.offset for place, anchor in known.items()}, self._seconds)
        return sorted(partition for partition, anchor in known.items() if found.get(partition, anchor) != anchor)
