"""For brokers older than topic ids: whether records that were fetched by name came from the log they should be of.

A topic that was deleted never comes back. So if the record that was taken last from a partition is still there after a
batch was fetched, the batch came from the same log.
"""

from collections.abc import Iterable, Mapping

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Anchor, Partition


class AnchorCheck:
    """Keeps the last record taken from each partition, and looks for it, waiting for `seconds` at most."""

    def __init__(self, log: KafkaLog, seconds: float) -> None:
        self._log = log
        self._seconds = seconds
        self._anchors: dict[Partition, Anchor] = {}

    def begin(self, partition: Partition, anchor: Anchor | None) -> None:
        """The partition is read on from after this record, or from where none was taken before."""
        self._anchors.pop(partition, None)
        if anchor is not None:
            self._anchors[partition] = anchor

    def go_on(self, anchors: Mapping[Partition, Anchor]) -> None:
        """These are the last records of a batch that came from the logs that it should be of."""
        self._anchors.update(anchors)

    async def find_changed(self, partitions: Iterable[Partition]) -> list[Partition]:
        """Those of the partitions with another record in that place. One without any there is taken to be the same.

        Raises:
            KafkaError: the brokers did not answer.
        """
        known = {partition: self._anchors[partition] for partition in partitions if partition in self._anchors}
        found = await self._log.anchors({place: anchor.offset for place, anchor in known.items()}, self._seconds)
        return sorted(partition for partition, anchor in known.items() if found.get(partition, anchor) != anchor)
