"""Requests become spans, sent by OTLP over HTTP to the collector that OpenTelemetry's standard variables name.

A request is one span, made when its answer leaves, with a child for each stage of its bill.  Sending happens in a
thread of its own: a collector that is slow or gone costs spans, never answers.  Imported only where that is wanted.
"""

import atexit
import logging
import os
import time
from collections.abc import Sequence

from flask import Flask, Response, g, request
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from retort.api.tracing import TraceContext
from retort.errors import BadUsage

TIMEOUT_S = 2.0  # of one export, where the standard variables say nothing
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

log = logging.getLogger(__name__)


class Spans:
    """The way to the collector."""

    def __init__(self) -> None:
        """Raises BadUsage: one of the standard variables holds what it cannot."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # else a traceback for each batch not sent
        try:
            self._exporter = _Exporter()
            self._processor = BatchSpanProcessor(self._exporter)
            self._provider = TracerProvider(resource=_describe_service(), shutdown_on_exit=False)
        except ValueError as e:
            raise BadUsage(f"Cannot trace: {e}. Mend the OTEL_ variables, or set OTEL_SDK_DISABLED=true.") from e
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("retort")
        atexit.register(self.close)

    def register(self, app: Flask) -> None:
        """After the access log, which therefore ends a request after this and writes the trace's id."""
        app.after_request(self._record)
        app.extensions["spans"] = self

    def close(self) -> None:
        """Send what waits, unless the collector is gone, and end the thread."""
        self._exporter.is_closing = True
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _record(self, response: Response) -> Response:
        end_ns, end = time.time_ns(), time.perf_counter()
        route = request.url_rule.rule if request.url_rule else ""
        method = request.method if request.method in METHODS else "_OTHER"
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "http.response.status_code": response.status_code,
        }
        if route:
            attributes["http.route"] = route
        if g.bill is not None:
            attributes |= {"retort.n_inputs": g.n_inputs, "retort.n_tokens": g.n_tokens, "retort.model": g.model}
        span = self._tracer.start_span(
            f"{method} {route}".rstrip(),
            _context_of(g.asked_trace, request.headers.get("tracestate")),
            SpanKind.SERVER,
            attributes,
            start_time=end_ns - int((end - g.started) * 1e9),
        )
        if response.status_code >= 500:
            span.set_status(StatusCode.ERROR)
        if g.bill is not None and span.is_recording():
            self._record_stages(span, end_ns - int((end - g.predict_started) * 1e9))
        span.end(end_ns)
        made = span.get_span_context()
        g.trace = TraceContext(format_trace_id(made.trace_id), format_span_id(made.span_id), made.trace_flags.sampled)
        return response

    def _record_stages(self, span: Span, start_ns: int) -> None:
        """One after the other, as they are billed."""
        inside = set_span_in_context(span, Context())
        for stage in ("tokenization", "queue", "inference"):
            child = self._tracer.start_span(stage, inside, start_time=start_ns)
            start_ns += int(getattr(g.bill, f"{stage}_s") * 1e9)
            child.end(start_ns)


def _context_of(asked: TraceContext | None, tracestate: str | None) -> Context:
    if asked is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if asked.is_sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([tracestate]) if tracestate else None
    parent = SpanContext(int(asked.trace_id, 16), int(asked.span_id, 16), True, flags, state)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _describe_service() -> Resource:
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return found.merge(Resource({SERVICE_NAME: "retort"}))
    return found


class _Exporter(OTLPSpanExporter):
    """The standard one, which says in one line that the collector is gone, and in one that it is back."""

    def __init__(self) -> None:
        super().__init__(timeout=None if any(map(os.environ.get, TIMEOUTS)) else TIMEOUT_S)
        self._is_failing = self.is_closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.is_closing and self._is_failing:  # it would take its time for each batch
            return SpanExportResult.FAILURE
        result = super().export(spans)
        if (is_failing := result is not SpanExportResult.SUCCESS) != self._is_failing:
            self._is_failing = is_failing
            log.warning("The collector of traces %s.", "takes none now" if is_failing else "takes them again")
        return result
