"""Context variable with the current session, turn and span."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from pipeline.observability import span_names
from schemas.errors import RhapsodeError

if TYPE_CHECKING:
    from pipeline.observability.tracer import Tracing

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
    except BaseException:  # whoever wanted it does not want it any more
        made.set_attribute(span_names.CANCELLED, True)
        raise


def fail(made: Span, code: str) -> None:
    made.set_attribute(span_names.ERROR_TYPE, code)
    made.set_status(Status(StatusCode.ERROR, code))
