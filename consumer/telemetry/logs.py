"""Structured logs on standard error. Never a value of an event's, never a parameter, never a secret."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from secrets import token_hex
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from reelsync.consumer.escaping import printable, printable_lines
from reelsync.consumer.settings import LogSettings


def configure_logs(settings: LogSettings) -> None:
    """Send our logs, and the warnings of the libraries, to standard error in the form that was set."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = [structlog.processors.JSONRenderer()]
    if settings.format == "console":
        plain = structlog.dev.plain_traceback  # Rich's shows the values of variables.
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        render = [structlog.processors.format_exc_info, _for_a_terminal, console]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("reelsync").setLevel(settings.level)
    # What its fetcher and coordinator call errors are outages that the source waits out, and reports itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_no_closed_connection)
    # It would log what strangers send to the port; errors of our own endpoints are logged by us.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _for_a_terminal(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """All of it in text that says nothing to the terminal. Tracebacks keep their lines; JSON is ASCII anyway."""
    layout = {"exception", "stack"}
    return {
        printable(name): (printable_lines if name in layout else printable)(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _is_no_closed_connection(record: logging.LogRecord) -> bool:
    """Whether this is not aiokafka's complaint of a connection that it dropped itself when its task was cancelled."""
    return not record.getMessage().startswith("Unclosed AIOKafkaConnection")


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
