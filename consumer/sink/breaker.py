"""Stopping the consumer when too many of the latest records are dead letters, as after a bad deployment. Pure."""

from collections import deque

from reelsync.consumer.errors import HaltedError


class DeadLetterLimit:
    """Counts verdicts over a window of records.

    Name conflicts do not count, because they come from order, not from publishers.
    """

    def __init__(self, window_records: int, max_count: int, max_share: float) -> None:
        self._window_records = window_records
        self._max_count = max_count
        self._max_share = max_share
        self._batches: deque[tuple[int, int]] = deque()
        self._records = 0
        self._rejected = 0

    def admit(self, records: int, rejected: int) -> None:
        """Take a batch into account, before it is written.

        Raises:
            HaltedError: the limits are reached. Nothing of the batch was written, so nothing is lost.
        """
        if not records:
            # A log of transaction markers has any number of batches without records.
            return
        self._batches.append((records, rejected))
        self._records += records
        self._rejected += rejected
        while self._records - self._batches[0][0] >= self._window_records:
            oldest_records, oldest_rejected = self._batches.popleft()
            self._records -= oldest_records
            self._rejected -= oldest_rejected
        self._check()

    def withdraw(self, records: int) -> None:
        """Remove the batch of so many records that was admitted last: its next reader counts them again."""
        if records:
            records, rejected = self._batches.pop()
            self._records -= records
            self._rejected -= rejected

    def add_refused(self, refused: int) -> None:
        """Count events of the batch admitted last that the database refused, which is known only after writing."""
        if refused and self._batches:
            records, rejected = self._batches[-1]
            self._batches[-1] = (records, rejected + refused)
            self._rejected += refused

    def _check(self) -> None:
        if self._rejected >= self._max_count and self._rejected >= self._max_share * self._records:
            message = (
                f"{self._rejected} of the last {self._records} records were dead letters: probably a bad deployment, "
                "not poison. See them with `reelsync dlq list`; correct the publisher, or deploy a consumer that knows "
                "its events, or raise REELSYNC_DEAD_LETTERS__MAX_COUNT or …MAX_SHARE; then start again"
            )
            raise HaltedError(message)
