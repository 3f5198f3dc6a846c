"""Adds OpenTelemetry trace ids to log lines (docs/operations.md describes the exporter)."""

from __future__ import annotations

from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger


def trace_ids(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Add `trace_id` and `span_id` in hexadecimal to a log line within a trace."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"] = trace.format_trace_id(context.trace_id)
        line["span_id"] = trace.format_span_id(context.span_id)
    return line
