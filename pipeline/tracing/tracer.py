"""The spans of turns, under ids that every process finds by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
)

from pipeline.tracing import ids, names
from pipeline.tracing.here import HERE, Attributes, Here, failing, start_span, within

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
    """What one process records. Nothing here waits, and nothing here raises for a collector's sake."""

    def __init__(self, tracer: Tracer, *, ratio: float = 1.0, content: bool = False) -> None:
        self.tracer = tracer
        self.content = content
        self._ratio = ratio

    def samples(self, trace: int) -> bool:
        return ids.is_sampled(trace, self._ratio)


def turn_context(session: str, turn: int, epoch: int = 0) -> SpanContext:
    """The span of a turn as others see it, wherever it runs or ran."""
    trace = ids.trace_id(session, turn)
    return SpanContext(trace, ids.turn_span_id(session, turn, epoch), is_remote=True, trace_flags=_SAMPLED)


def link_to(session: str, turn: int, why: str) -> Link:
    return Link(turn_context(session, turn), {names.LINK: why})


@contextmanager
def turn_span(
    session: str, turn: int, attributes: Attributes, *, epoch: int, resumed: bool, since_ms: int
) -> Iterator[Span | None]:
    """The turn as this owner runs it; None where it is not recorded.

    It begins when it was asked for. An owner who goes on with it has a span of its own in the same trace,
    linked to the first one's, which never arrived where that owner was killed.
    """
    here = HERE.get()
    tracing = here.tracing
    if tracing is None or not tracing.samples(ids.trace_id(session, turn)):
        with within(Here(session, turn)):
            yield None
        return
    own = turn_context(session, turn, epoch if resumed else 0)
    links = (link_to(session, turn, names.LINK_TAKEOVER),) if resumed else ()
    with given(own.trace_id, own.span_id):
        made = start_span(
            Here(tracing=tracing),
            names.TURN,
            attributes,
            kind=SpanKind.CONSUMER,
            links=links,
            start_ns=since_ms * 1_000_000 if since_ms and not resumed else None,
        )
    try:
        with within(Here(session, turn, tracing, made)), failing(made):
            yield made
    finally:
        made.end()


def root(tracing: Tracing, name: str, attributes: Attributes, *, kind: SpanKind) -> Span | None:
    """The beginning of a trace that is no turn's, if it is one of those that are recorded."""
    trace = _RANDOM.generate_trace_id()
    if not tracing.samples(trace):
        return None
    with given(trace, _RANDOM.generate_span_id()):
        return start_span(Here(tracing=tracing), name, attributes, kind=kind)


def of_turn(tracing: Tracing, session: str, turn: int) -> Here | None:
    """Where spans belong that are no owner's but the turn's; None: it is not recorded."""
    context = turn_context(session, turn)
    if not tracing.samples(context.trace_id):
        return None
    return Here(session, turn, tracing, NonRecordingSpan(context))
