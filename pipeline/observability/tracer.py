"""The spans of turns, under ids that every process finds by itself."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
)

from pipeline.observability import span_names, tracer
from pipeline.observability.trace_context import (
    CURRENT_CONTEXT,
    Attributes,
    TraceContext,
    failing,
    start_span,
    within,
)
from pipeline.observability.traceparent import context_of, span_of

_SAMPLED_BITS: Final = 64
"""Those at the low end of a trace's id decide, as in OpenTelemetry's own sampler by ratio."""


def trace_id(session: str, what: int | str) -> int:
    """The one trace of a turn (its number), or of something else in a session (its name)."""
    return _hash(f"trace {session} {what}", 16)


def turn_span_id(session: str, turn: int, epoch: int = 0) -> int:
    """The span of the turn's first owner; with an epoch that of an owner who has gone on with it."""
    return _hash(f"turn {session} {turn} {epoch}", 8)


def is_sampled(trace: int, ratio: float) -> bool:
    """The same answer in every process that is asked with the same ratio; more of them with a larger one."""
    return (trace & ((1 << _SAMPLED_BITS) - 1)) < round(ratio * (1 << _SAMPLED_BITS))


def _hash(text: str, size: int) -> int:
    """Never zero, which would be no id."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big") or 1


_GIVEN: Final[ContextVar[tuple[int, int] | None]] = ContextVar("rhapsode_given_ids", default=None)
_RANDOM: Final = RandomIdGenerator()
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class Ids(IdGenerator):
    """Random ids, but for a span that is begun within `given`."""

    def generate_span_id(self) -> int:
        given = _GIVEN.get()
        return _RANDOM.generate_span_id() if given is None else given[1]

    def generate_trace_id(self) -> int:
        given = _GIVEN.get()
        return _RANDOM.generate_trace_id() if given is None else given[0]


@contextmanager
def given(trace: int, span: int) -> Iterator[None]:
    token = _GIVEN.set((trace, span))
    try:
        yield
    finally:
        _GIVEN.reset(token)


class Tracing:
    """Tracing of one process. No call waits, and no call raises for a collector's sake."""

    def __init__(self, tracer: Tracer, *, ratio: float = 1.0, content: bool = False, model: str = "") -> None:
        """`model`: the name of the language model in this server."""
        self.tracer = tracer
        self.content = content
        self.model = model
        self._ratio = ratio

    def samples(self, trace: int) -> bool:
        return tracer.is_sampled(trace, self._ratio)


@dataclass(frozen=True, slots=True)
class TurnTrace:
    """The trace that a turn belongs to: its caller's, or one whose id follows from session and turn."""

    session: str
    turn: int
    caller: SpanContext | None = None

    @classmethod
    def of(cls, session: str, turn: int, traceparent: str = "") -> Self:
        return cls(session, turn, context_of(traceparent))

    @property
    def id(self) -> int:
        return tracer.trace_id(self.session, self.turn) if self.caller is None else self.caller.trace_id

    def is_recorded(self, tracing: Tracing) -> bool:
        """True where the caller records its trace, or the sampling ratio takes it."""
        wanted = self.caller is not None and self.caller.trace_flags.sampled
        return wanted or tracing.samples(self.id)

    def span(self, epoch: int = 0) -> SpanContext:
        """The span of the turn as others see it, wherever it runs or ran."""
        own = tracer.turn_span_id(self.session, self.turn, epoch)
        return SpanContext(self.id, own, is_remote=True, trace_flags=_SAMPLED)

    def link(self, why: str) -> Link:
        return Link(self.span(), {span_names.LINK: why})

    def trace_context(self, tracing: Tracing | None = None, span: Span = INVALID_SPAN) -> TraceContext:
        return TraceContext(self.session, self.turn, tracing, span, 0 if self.caller is None else self.id)


@contextmanager
def turn_span(
    trace: TurnTrace, attributes: Attributes, *, epoch: int, resumed: bool, since_ms: int
) -> Iterator[Span | None]:
    """The turn as this owner runs it; None where it is not recorded.

    It begins when it was asked for. An owner who goes on with it has a span of its own in the same trace,
    linked to the first one's, which never arrived where that owner was killed.
    """
    tracing = CURRENT_CONTEXT.get().tracing
    if tracing is None or not trace.is_recorded(tracing):
        with within(trace.trace_context()):
            yield None
        return
    own = trace.span(epoch if resumed else 0)
    links = (trace.link(span_names.LINK_TAKEOVER),) if resumed else ()
    with given(own.trace_id, own.span_id):
        made = start_span(
            TraceContext(tracing=tracing, span=span_of(trace.caller)),
            span_names.TURN,
            attributes,
            kind=SpanKind.CONSUMER,
            links=links,
            start_ns=since_ms * 1_000_000 if since_ms and not resumed else None,
        )
    try:
        with within(trace.trace_context(tracing, made)), failing(made):
            yield made
    finally:
        made.end()


def root(tracing: Tracing, name: str, attributes: Attributes, *, kind: SpanKind) -> Span | None:
    """The beginning of a trace that is no turn's, if it is one of those that are recorded."""
    trace = _RANDOM.generate_trace_id()
    if not tracing.samples(trace):
        return None
    with given(trace, _RANDOM.generate_span_id()):
        return start_span(TraceContext(tracing=tracing), name, attributes, kind=kind)


def of_turn(tracing: Tracing, trace: TurnTrace) -> TraceContext | None:
    """Trace context of spans that belong to the turn and to no owner; None: the turn is not recorded."""
    if not trace.is_recorded(tracing):
        return None
    return trace.trace_context(tracing, NonRecordingSpan(trace.span()))
