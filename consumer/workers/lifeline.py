"""A worker ends when its supervisor does, however that ended."""

import os
import signal
import threading
import time

_FINISH_SECONDS = 40.0
"""The time to finish the present batch, as after any SIGTERM."""


def end_with_parent(pipe: int) -> None:
    """Stop this process once the other end of a pipe is closed, which the kernel does when the parent is gone.

    A thread watches, so that a blocked event loop changes nothing. PR_SET_PDEATHSIG would be Linux only, and fires when
    the starting *thread* ends.
    """
    threading.Thread(target=_watch, args=(pipe,), name="lifeline", daemon=True).start()


def _watch(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_FINISH_SECONDS)
    os._exit(1)
