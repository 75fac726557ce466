"""The way of an utterance to its text; since its turn is not known before, it has a trace of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.util.types import AttributeValue

from pipeline.observability import span_names
from pipeline.observability.tracer import (
    CALLER,
    CURRENT_CONTEXT,
    TurnTrace,
    of_turn,
    root,
    start_span,
    within,
)
from schemas.events.voice_events import TranscriptFinal

_NS_PER_MS: Final = 1_000_000


class UtteranceSpan:
    """The trace of one utterance, from its first sound until it is written down or given up."""

    def __init__(self) -> None:
        trace_context = CURRENT_CONTEXT.get()
        self._span: Span | None = None
        self._ended = False
        if trace_context.tracing is not None:
            about = {span_names.CONVERSATION: trace_context.session}
            self._span = root(trace_context.tracing, span_names.UTTERANCE, about, kind=SpanKind.INTERNAL)

    @contextmanager
    def within(self) -> Iterator[None]:
        """Context in which engine calls belong to this utterance's span."""
        if self._span is None:
            yield
            return
        with within(replace(CURRENT_CONTEXT.get(), span=self._span)):
            yield

    def end(self) -> None:
        """Twice is as good as once."""
        if self._span is not None and not self._ended:
            self._ended = True
            self._span.end()

    @property
    def link(self) -> Link | None:
        if self._span is None:
            return None
        return Link(self._span.get_span_context(), {span_names.LINK: span_names.LINK_UTTERANCE})


def transcribed(turn: int, heard: TranscriptFinal, *, since_s: float, link: Link | None) -> None:
    """Tell the turn's trace. `since_s`: how long ago the speech ended."""
    trace_context = CURRENT_CONTEXT.get()
    trace = TurnTrace.of(trace_context.session, turn, CALLER.get())
    place = None if trace_context.tracing is None else of_turn(trace_context.tracing, trace)
    if place is None or trace_context.tracing is None:
        return
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_TRANSCRIBE,
        span_names.CONVERSATION: trace_context.session,
        span_names.MODE: heard.mode,
        span_names.ENGINE: heard.engine,
        span_names.LANGUAGE: heard.language,
        span_names.AUDIO_MS: heard.end_ms - heard.start_ms,
        span_names.DECODE_MS: heard.decode_ms,
        span_names.CPU_MS: heard.cpu_ms,
        span_names.REVISIONS: heard.revisions,
    }
    if trace_context.tracing.content:
        attributes[span_names.TRANSCRIPT] = heard.text
    start_ns = time.time_ns() - int(since_s * 1_000 * _NS_PER_MS)
    links = () if link is None else (link,)
    made = start_span(place, span_names.TRANSCRIBE, attributes, links=links, start_ns=start_ns)
    made.end(start_ns + int(heard.after_ms * _NS_PER_MS))
