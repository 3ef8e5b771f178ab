"""Structured logs on standard error. They never hold values of events, parameters or secrets."""

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
    """Send reelsync's logs and the libraries' warnings to standard error, in the configured form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = [structlog.processors.JSONRenderer()]
    if settings.format == "console":
        plain = structlog.dev.plain_traceback  # Rich's tracebacks show the values of variables.
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
    # aiokafka logs outages as errors; the source waits until they are over, and logs them itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_not_a_closed_connection)
    # aiohttp would log malformed requests of anybody. Errors of reelsync's endpoints are logged by reelsync.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _for_a_terminal(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters in every text. Tracebacks keep their lines. JSON is ASCII, and needs no escaping."""
    layout = {"exception", "stack"}
    return {
        printable(name): (printable_lines if name in layout else printable)(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _not_a_closed_connection(record: logging.LogRecord) -> bool:
    """Drop aiokafka's complaint about a connection that it closed itself because its task was cancelled."""
    return not record.getMessage().startswith("Unclosed AIOKafkaConnection")


_process = token_hex(3)

_numbers = count(1)


@contextmanager
def batch_id() -> Iterator[str]:
    """Add a `batch_id` that no other batch has to the log lines of this task, during the block.

    Its first part identifies the process, and the second part is a count.
    """
    name = f"{_process}-{next(_numbers)}"
    with bound_contextvars(batch_id=name):
        yield name
