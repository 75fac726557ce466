"""A place in a turn on its way to another process: strings and numbers only."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from pipeline.observability import span_names
from pipeline.observability.trace_context import HERE, Attributes, Here, fail, start_span
from pipeline.observability.tracer import Tracing

Carried = Mapping[str, str | int]
NOWHERE: Final[Carried] = {}
_NS_PER_MS: Final = 1e6


def carried() -> dict[str, str | int]:
    """Returns the trace context of the caller, for the process that does the work."""
    here = HERE.get()
    told: dict[str, str | int] = {"session": here.session, "turn": here.turn}
    if here.trace:
        told["caller"] = f"{here.trace:032x}"
    context = here.span.get_span_context()
    if here.tracing is not None and context.is_valid:
        told |= {
            "trace": f"{context.trace_id:032x}",
            "span": f"{context.span_id:016x}",
            "sent_ns": time.time_ns(),
        }
    return told


class ServerSpan:
    """A call as the replica sees it, from its arrival on. Its span, if there is one, ends with `end`."""

    def __init__(
        self, name: str, come: Carried, tracing: Tracing | None, attributes: Attributes | None = None
    ) -> None:
        """From now on the running task is where its caller is."""
        self._span: Span | None = None
        self._first = True
        self._whole = False
        trace = int(str(come.get("caller", "0")), 16)
        here = Here(str(come.get("session", "")), int(come.get("turn", 0)), trace=trace)
        if tracing is not None and "trace" in come:
            caller = SpanContext(
                int(str(come["trace"]), 16), int(str(come["span"]), 16), True, TraceFlags(TraceFlags.SAMPLED)
            )
            here = replace(here, tracing=tracing, span=NonRecordingSpan(caller))
            self._span = start_span(here, name, attributes, kind=SpanKind.SERVER)
            queued_ms = round(max(0.0, (time.time_ns() - int(come["sent_ns"])) / _NS_PER_MS), 2)
            self._span.set_attribute(span_names.QUEUED_MS, queued_ms)
            here = replace(here, span=self._span)
        # Not taken back: a stream may be closed by another task than the one that began it.
        HERE.set(here)

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
