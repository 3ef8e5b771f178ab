"""Spans: one for each batch, linked to the spans in which its records were published, with a child for each statement.

Needs the extra `otel`. Names of attributes are OpenTelemetry's:
https://opentelemetry.io/docs/specs/semconv/messaging/kafka/ and https://opentelemetry.io/docs/specs/semconv/database/.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from time import time_ns

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from reelsync.consumer.observer import Written
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.timing.query_names import OTHER, QUERIES
from reelsync.consumer.timing.query_timing import QueryTiming
from reelsync.consumer.timing.slow_queries import shortened
from reelsync.consumer.transform.batch import Batch
from reelsync.models.query_names import Query

from .trace_context import TraceContext, trace_contexts

_MOST_LINKS = 128
"""The SDK's own limit (OTEL_SPAN_LINK_COUNT_LIMIT): it would drop further links."""
_LOOKED_AT = 1_000
"""How many records of a batch are searched for a trace."""


class Tracing:
    """Makes the spans of one consumer group."""

    def __init__(self, provider: TracerProvider, group: str, queries: Mapping[str, Query] = QUERIES) -> None:
        self._tracer = provider.get_tracer("reelsync")
        self._group = group
        self._queries = queries

    @contextmanager
    def batch(self, batch: Batch, batch_id: str) -> Iterator[None]:
        """A span while the batch is written: the root of a trace, because its records come from many traces."""
        attributes: dict[str, AttributeValue] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": self._group,
            "messaging.batch.message_count": batch.count,
            "reelsync.batch.id": batch_id,
            "reelsync.batch.rejected": len(batch.rejections),
            **{f"reelsync.batch.{phase}_seconds": seconds for phase, seconds in batch.seconds.items()},
        }
        span = self._tracer.start_span(
            "process batch", Context(), kind=SpanKind.CONSUMER, attributes=attributes, links=_links(batch)
        )
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, describe(error)))
                raise

    def committed(self, written: list[Written]) -> None:
        """Mark the current span as committed. The span of a batch that was not committed has no such attribute."""
        changed = sum(count for part in written for count in part.changed.values())
        trace.get_current_span().set_attributes({"reelsync.batch.committed": True, "reelsync.batch.rows": changed})

    def exemplar(self) -> dict[str, str] | None:
        """The labels of the current span, if it is sampled: only then does the collector have it."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid or not context.trace_flags.sampled:
            return None
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def query(self, timing: QueryTiming) -> None:
        """Add a span for a statement that has just ended, inside the span of its batch. Outside a batch, none."""
        if not trace.get_current_span().is_recording():
            return
        query = self._queries.get(timing.query_name, self._queries[OTHER])
        ended = time_ns()
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": query.operation,
            "db.collection.name": query.collection,
            "db.query.summary": timing.query_name,
            "db.query.text": shortened(timing.statement),
            "db.response.status_code": timing.sqlstate or "",
            "error.type": timing.error_type,
        }
        span = self._tracer.start_span(
            timing.query_name,
            kind=SpanKind.CLIENT,
            attributes={name: value for name, value in attributes.items() if value},
            start_time=ended - round(timing.seconds * 1e9),
        )
        if timing.rows >= 0:
            span.set_attribute("reelsync.rows", timing.rows)
        if timing.error is not None:
            span.set_status(Status(StatusCode.ERROR, timing.error))
        span.end(ended)


def _links(batch: Batch) -> list[Link]:
    records = chain(batch.records, (rejection.record for rejection in batch.rejections))
    looked_at = (record for record, _ in zip(records, range(_LOOKED_AT), strict=False))
    return [Link(_span_context(context)) for context in trace_contexts(looked_at, _MOST_LINKS)]


def _span_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)
