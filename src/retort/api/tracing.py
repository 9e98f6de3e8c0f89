"""Which trace of a client's a request belongs to (`traceparent`, W3C Trace Context), and whether spans are recorded."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_LENGTH = 512
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A trace, and a span in it."""

    trace_id: str
    span_id: str
    is_sampled: bool

    def to_header(self) -> str:
        """As a `traceparent` of version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{_SAMPLED if self.is_sampled else 0:02x}"


def parse_traceparent(given: str) -> TraceContext | None:
    """None where it is not valid: such a one counts as if it had not come."""
    found = _TRACEPARENT.fullmatch(given) if len(given) <= _MAX_LENGTH else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def follow(asked: TraceContext) -> TraceContext:
    """The same trace, for an answer that nobody records."""
    return TraceContext(asked.trace_id, os.urandom(8).hex(), is_sampled=False)


def is_tracing_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether OpenTelemetry's standard variables name a collector, and nothing switches it off."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environ.get(name, "").strip() for name in ENDPOINTS)


def register_tracing(app: Flask) -> None:
    """Record every request of `app`, where it is wanted; OpenTelemetry is not even imported otherwise."""
    if is_tracing_wanted():
        from retort.api.spans import Spans

        Spans().register(app)
