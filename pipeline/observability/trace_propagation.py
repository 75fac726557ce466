"""Trace context of a call to another process: strings and numbers only."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from pipeline.observability import span_names
from pipeline.observability.tracer import CURRENT_CONTEXT, TraceContext, Tracing, fail, start_span

PropagatedContext = Mapping[str, str | int]
NO_CONTEXT: Final[PropagatedContext] = {}
_NS_PER_MS: Final = 1e6


def inject() -> dict[str, str | int]:
    """Returns the trace context of the caller, for the process that does the work."""
    trace_context = CURRENT_CONTEXT.get()
    propagated: dict[str, str | int] = {"session": trace_context.session, "turn": trace_context.turn}
    if trace_context.trace:
        propagated["caller"] = f"{trace_context.trace:032x}"
    span_context = trace_context.span.get_span_context()
    if trace_context.tracing is not None and span_context.is_valid:
        propagated |= {
            "trace": f"{span_context.trace_id:032x}",
            "span": f"{span_context.span_id:016x}",
            "sent_ns": time.time_ns(),
        }
    return propagated


class ServerSpan:
    """A call as the replica sees it, from its arrival on. Its span, if there is one, ends with `end`."""

    def __init__(self, name: str, context: PropagatedContext, tracing: Tracing | None) -> None:
        """From now on the running task is where its caller is."""
        self._span: Span | None = None
        self._first = True
        self._whole = False
        trace = int(str(context.get("caller", "0")), 16)
        trace_context = TraceContext(
            str(context.get("session", "")), int(context.get("turn", 0)), trace=trace
        )
        if tracing is not None and "trace" in context:
            caller = SpanContext(
                int(str(context["trace"]), 16),
                int(str(context["span"]), 16),
                True,
                TraceFlags(TraceFlags.SAMPLED),
            )
            trace_context = replace(trace_context, tracing=tracing, span=NonRecordingSpan(caller))
            self._span = start_span(trace_context, name, kind=SpanKind.SERVER)
            queued_ms = round(max(0.0, (time.time_ns() - int(context["sent_ns"])) / _NS_PER_MS), 2)
            self._span.set_attribute(span_names.QUEUED_MS, queued_ms)
            trace_context = replace(trace_context, span=self._span)
        # Not taken back: a stream may be closed by another task than the one that began it.
        CURRENT_CONTEXT.set(trace_context)

    def item(self, item: Mapping[str, Any]) -> None:
        """It goes out next."""
        if self._span is None:
            return
        if "error" in item:
            fail(self._span, str(item["error"]))
        elif self._first:
            self._first = False
            self._span.add_event(span_names.FIRST_DELTA)

    def whole(self) -> None:
        """It went to its end."""
        self._whole = True

    def end(self) -> None:
        if self._span is not None:
            if not self._whole:
                self._span.set_attribute(span_names.CANCELLED, True)
            self._span.end()
