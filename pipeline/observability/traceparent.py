"""The trace of a caller's request, as W3C Trace Context writes it in the header `traceparent`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

HEADER: Final = "traceparent"
CALLER: Final[ContextVar[str]] = ContextVar("rhapsode_caller", default="")
"""`traceparent` of the request that runs here; empty: none came, or not a valid one."""
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_CHARS: Final = 512


@contextmanager
def called_with(traceparent: str | None) -> Iterator[None]:
    """Turns that are asked for in the block, and in tasks begun there, continue this trace."""
    token = CALLER.set(normal(traceparent))
    try:
        yield
    finally:
        CALLER.reset(token)


def context_of(traceparent: str) -> SpanContext | None:
    """The caller's span; None where none is named, or it is not valid."""
    if not traceparent or len(traceparent) > _CHARS:
        return None
    read = _PROPAGATOR.extract({HEADER: traceparent})
    context = get_current_span(read).get_span_context()
    return context if context.is_valid else None


def span_of(context: SpanContext | None) -> Span:
    """A parent for spans of ours."""
    return INVALID_SPAN if context is None else NonRecordingSpan(context)


def normal(traceparent: str | None) -> str:
    """The same in the form of version 00, so that no other text gets into an event; empty: not valid."""
    context = context_of(traceparent or "")
    if context is None:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"
