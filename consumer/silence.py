"""Whether the brokers have fallen silent. Pure: it is told of answers and of time."""

from collections.abc import Mapping

from .records import Partition


class Silence:
    """How long polls have waited for brokers of which none answered.

    aiokafka asks again by itself, for ever: to whoever polls, a network that swallows everything looks like a log
    without news. Brokers answer a fetch after half a second even if there is nothing new.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        """Seconds."""
        self._waited = 0.0
        self._answers: Mapping[Partition, int | None] = {}

    def broken(self) -> None:
        """Something was heard."""
        self._waited = 0.0

    def waited(self, seconds: float, answers: Mapping[Partition, int | None]) -> bool:
        """Take note of a poll that brought nothing; whether that has gone on for too long.

        Only the time of polls counts: while the database is away nobody polls, and nobody is silent.

        Args:
            seconds: How long the poll waited.
            answers: When each partition's broker last answered a fetch, in whatever unit; empty if none is read.
        """
        if answers != self._answers or not answers:
            self._answers = answers
            self._waited = 0.0
        else:
            self._waited += seconds
        return self._waited >= self.limit
