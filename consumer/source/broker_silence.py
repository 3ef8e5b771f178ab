"""Whether the brokers have fallen silent. Pure: it is told of answers and of time."""

from collections.abc import Mapping

from reelsync.consumer.records import Partition

_MOST_SECONDS = 600.0


class Silence:
    """How long polls have waited for brokers of which none answered. `limit` is in seconds.

    aiokafka asks again by itself, for ever: to whoever polls, a network that swallows everything, or brokers that no
    longer take our password, look like a log without news. Brokers answer a fetch after half a second even if there
    is nothing new.
    """

    def __init__(self, limit: float) -> None:
        self._least = limit
        self._limit = limit
        self._waited = 0.0
        self._answers: Mapping[Partition, int | None] = {}

    def broken(self) -> None:
        """Something was heard."""
        self._waited = 0.0
        self._limit = self._least

    def waited(self, seconds: float, answers: Mapping[Partition, int | None]) -> bool:
        """Take note of a poll that brought nothing; whether that has gone on for too long.

        Only the time of polls counts: while the database is away nobody polls, and nobody is silent. Each time the
        limit is reached it doubles, up to ten minutes, until something is heard: partitions without a leader are
        silent too, and a new membership each time would disturb the others.

        Args:
            seconds: How long the poll waited.
            answers: When each partition's broker last answered a fetch, in whatever unit; None if never.
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
