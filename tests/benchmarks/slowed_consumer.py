"""reelsync that needs a third more CPU, so that it loses a quarter of its rate where the CPU is the limit."""

import time
from typing import Any

from reelsync.consumer.__main__ import main
from reelsync.consumer.transform.batch import Batch

_add = Batch.add
_seen = [0.0]


def add_slowly(self: Batch, *arguments: Any) -> None:
    """Burn a third of what was used since the last time."""
    _add(self, *arguments)
    now = time.process_time()
    until = now + (now - _seen[0]) / 3 if _seen[0] else now
    while time.process_time() < until:
        pass
    _seen[0] = time.process_time()


if __name__ == "__main__":
    Batch.add = add_slowly  # type: ignore[method-assign]
    main()
