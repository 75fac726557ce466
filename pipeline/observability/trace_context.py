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
class Here:
    """A place in the work, told by every log line that is written there."""

    session: str = ""
    turn: int = 0
    tracing: "Tracing | None" = None
    """None: nothing is recorded here."""
    span: Span = INVALID_SPAN
    trace: int = 0
    """The caller's, where the turn continues one; 0: the turn's own, which follows from session and turn."""


HERE: Final[ContextVar[Here]] = ContextVar("rhapsode_here", default=Here())  # noqa: B039 - it is frozen


@contextmanager
def within(here: Here) -> Iterator[Here]:
    token = HERE.set(here)
    try:
        yield here
    finally:
        HERE.reset(token)


@contextmanager
def in_session(session: str, tracing: "Tracing | None") -> Iterator[Here]:
    """Sets the session for the code of the block, and for tasks that are started there."""
    with within(Here(session, tracing=tracing)) as here:
        yield here


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A part of the turn; costs next to nothing where nothing is recorded. Ends with the block."""
    here = HERE.get()
    if here.tracing is None:
        yield INVALID_SPAN
        return
    made = start_span(here, name, attributes, kind=kind)
    try:
        with within(replace(here, span=made)), failing(made):
            yield made
    finally:
        made.end()


def start_span(
    here: Here,
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: tuple[Link, ...] = (),
    start_ns: int | None = None,
) -> Span:
    """A child of the span that is here; whoever starts it ends it."""
    assert here.tracing is not None
    return here.tracing.tracer.start_span(
        name,
        set_span_in_context(here.span, _EMPTY),
        kind,
        attributes,
        links,
        start_ns,
        record_exception=False,  # messages may repeat what people said
        set_status_on_exception=False,
    )


def event(name: str, attributes: Attributes | None = None) -> None:
    """Something happened in the span that is here."""
    here = HERE.get()
    if here.tracing is not None:
        here.span.add_event(name, attributes)


def shows_content() -> bool:
    """Whether what people say may be recorded here."""
    tracing = HERE.get().tracing
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
