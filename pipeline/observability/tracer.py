"""Traces of turns: the running task's session, turn and span, and ids that every process finds by itself."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final, Self

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from pipeline.observability import span_names
from schemas.errors import RhapsodeError

Attributes = Mapping[str, AttributeValue]
_EMPTY: Final = Context()


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Session, turn and span of the running task; every log line that the task writes names them."""

    session: str = ""
    turn: int = 0
    tracing: "Tracing | None" = None
    """None: nothing is recorded here."""
    span: Span = INVALID_SPAN
    trace: int = 0
    """The caller's, where the turn continues one; 0: the turn's own, which follows from session and turn."""


_OUTSIDE: Final = TraceContext()
CURRENT_CONTEXT: Final[ContextVar[TraceContext]] = ContextVar("rhapsode_trace_context", default=_OUTSIDE)


@contextmanager
def within(trace_context: TraceContext) -> Iterator[TraceContext]:
    token = CURRENT_CONTEXT.set(trace_context)
    try:
        yield trace_context
    finally:
        CURRENT_CONTEXT.reset(token)


@contextmanager
def in_session(session: str, tracing: "Tracing | None") -> Iterator[TraceContext]:
    """Sets the session for the code of the block, and for tasks that are started there."""
    with within(TraceContext(session, tracing=tracing)) as trace_context:
        yield trace_context


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A part of the turn; costs next to nothing where nothing is recorded. Ends with the block."""
    trace_context = CURRENT_CONTEXT.get()
    if trace_context.tracing is None:
        yield INVALID_SPAN
        return
    made = start_span(trace_context, name, attributes, kind=kind)
    try:
        with within(replace(trace_context, span=made)), failing(made):
            yield made
    finally:
        made.end()


def start_span(
    trace_context: TraceContext,
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: tuple[Link, ...] = (),
    start_ns: int | None = None,
) -> Span:
    """A child of the span of `trace_context`; its caller ends it."""
    assert trace_context.tracing is not None
    return trace_context.tracing.tracer.start_span(
        name,
        set_span_in_context(trace_context.span, _EMPTY),
        kind,
        attributes,
        links,
        start_ns,
        record_exception=False,  # messages may repeat what people said
        set_status_on_exception=False,
    )


def event(name: str, attributes: Attributes | None = None) -> None:
    """Adds an event to the current span."""
    trace_context = CURRENT_CONTEXT.get()
    if trace_context.tracing is not None:
        trace_context.span.add_event(name, attributes)


def shows_content() -> bool:
    """Whether the current span may record what people say."""
    tracing = CURRENT_CONTEXT.get().tracing
    return tracing is not None and tracing.content


@contextmanager
def failing(made: Span) -> Iterator[None]:
    """Marks the span with the class of the error that ends the block, never with its message."""
    try:
        yield
    except RhapsodeError as error:
        fail(made, error.code)
        raise
    except Exception as error:
        fail(made, type(error).__qualname__)
        raise
    except BaseException:  # its caller does not want it any more
        made.set_attribute(span_names.CANCELLED, True)
        raise


def fail(made: Span, code: str) -> None:
    made.set_attribute(span_names.ERROR_TYPE, code)
    made.set_status(Status(StatusCode.ERROR, code))


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
        return is_sampled(trace, self._ratio)


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
        return trace_id(self.session, self.turn) if self.caller is None else self.caller.trace_id

    def is_recorded(self, tracing: Tracing) -> bool:
        """True where the caller records its trace, or the sampling ratio takes it."""
        wanted = self.caller is not None and self.caller.trace_flags.sampled
        return wanted or tracing.samples(self.id)

    def span(self, epoch: int = 0) -> SpanContext:
        """The span of the turn as others see it, wherever it runs or ran."""
        own = turn_span_id(self.session, self.turn, epoch)
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
