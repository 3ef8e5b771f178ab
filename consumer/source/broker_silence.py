"""Whether the brokers have stopped answering. Pure: answers and times are passed in."""

from collections.abc import Mapping

from reelsync.consumer.records import Partition

_MOST_SECONDS = 600.0


class Silence:
    """How long polls have waited without any answer of a broker. `limit` is in seconds.

    aiokafka repeats its requests without end. So a network that drops every packet, or brokers that no longer accept
    our password, look like a topic without new records. A broker answers a fetch after half a second even if there is
    nothing new.
    """

    def __init__(self, limit: float) -> None:
        self._least = limit
        self._limit = limit
        self._waited = 0.0
        self._answers: Mapping[Partition, int | None] = {}

    def broken(self) -> None:
        """Note an answer."""
        self._waited = 0.0
        self._limit = self._least

    def waited(self, seconds: float, answers: Mapping[Partition, int | None]) -> bool:
        """Note a poll without records. Whether the brokers have been silent for too long.

        Only the time of polls counts, because there are none while the database is away. Each time the limit is reached
        it doubles, up to ten minutes, until a broker answers: partitions without a leader get no answers either, and a
        new membership each time would disturb the others.

        Args:
            seconds: How long the poll waited.
            answers: When each partition's broker last answered a fetch, in any unit; None if never.
        """
        heard = any(at is not None and at != self._answers.get(partition) for partition, at in answers.items())
        self._answers = answers
        if heard:
            self.broken()
        if heard or not answers:
            self._waited = 0.0
            return False
        self._waited += seconds
        if self._waited < self._limit:
            return False
        self._waited = 0.0
        self._limit = min(2 * self._limit, _MOST_SECONDS)
        return True
