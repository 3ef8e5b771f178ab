"""An id for each batch, in every log line about it: of its statements, its failures, its outcome."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from secrets import token_hex

from structlog.contextvars import bound_contextvars

_process = token_hex(3)
_numbers = count(1)


@contextmanager
def batch_id() -> Iterator[str]:
    """For the length of the block log lines of this task have a `batch_id`: one that no other batch has.

    The first part is the process's, the second counts.
    """
    name = f"{_process}-{next(_numbers)}"
    with bound_contextvars(batch_id=name):
        yield name
