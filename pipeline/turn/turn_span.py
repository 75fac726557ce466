"""Span of a turn: its origin, its outcome, and its latencies."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from pipeline.engines.ports import ChatRequest, Completion
from pipeline.observability import span_names
from pipeline.observability.tracer import CURRENT_CONTEXT, TurnTrace, fail, shows_content, span, turn_span
from schemas.events import Event, TurnCompleted, TurnFailed, TurnStopped
from schemas.settings.provider_settings import LOCAL

_NS: Final = 1_000_000


class TurnSpan:
    """The span of the turn that runs here, or nothing."""

    def __init__(self, made: Span | None) -> None:
        self._span = made
        self._commit_began = 0.0

    def ending(self, outcome: Event) -> None:
        """It is over; what is left is to record that."""
        if self._span is None:
            return
        self._commit_began = time.monotonic()
        self._span.set_attributes(_of(outcome))
        if isinstance(outcome, TurnFailed):
            fail(self._span, outcome.code)

    def recorded(self) -> None:
        """Everything that was said of it is in the log."""
        if self._span is not None:
            took = round((time.monotonic() - self._commit_began) * 1_000, 1)
            self._span.add_event(span_names.RECORDED, {span_names.COMMIT_MS: took})


class Plan(Protocol):
    """Attributes of a turn before it runs."""

    @property
    def session(self) -> str: ...
    @property
    def turn(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def requested_ms(self) -> int: ...
    @property
    def traceparent(self) -> str: ...
    @property
    def progress(self) -> object | None: ...


@contextmanager
def recording_turn(plan: Plan, *, epoch: int, node: str) -> Iterator[TurnSpan]:
    """Everything in the block is a part of this turn."""
    session, turn, resumed = plan.session, plan.turn, plan.progress is not None
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_TURN,
        span_names.CONVERSATION: session,
        span_names.TURN_NUMBER: turn,
        span_names.TURN_KIND: plan.kind,
        span_names.EPOCH: epoch,
        span_names.NODE: node,
        span_names.RESUMED: resumed,
    }
    trace = TurnTrace.of(session, turn, plan.traceparent)
    with turn_span(trace, attributes, epoch=epoch, resumed=resumed, since_ms=plan.requested_ms) as made:
        if made is not None:
            waited = 0 if resumed else max(0, time.time_ns() // _NS - plan.requested_ms)
            made.add_event(span_names.BEGUN, {span_names.WAIT_MS: waited})
        yield TurnSpan(made)


def _of(outcome: Event) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {span_names.TURN_OUTCOME: outcome.type}
    if isinstance(outcome, TurnCompleted):
        attributes |= {span_names.SENTENCES: outcome.sentences, span_names.AUDIO_MS: outcome.audio_ms}
        if outcome.ttfa_ms is not None:
            attributes[span_names.TTFA_MS] = outcome.ttfa_ms
    elif isinstance(outcome, TurnStopped):
        attributes[span_names.STOP_REASON] = outcome.reason
    return attributes


@contextmanager
def chatting(request: ChatRequest) -> Iterator["ChatSpan"]:
    """One request to the language model and its answer."""
    tracing = CURRENT_CONTEXT.get().tracing
    if tracing is None:
        yield _UNTOLD
        return
    own = tracing.model if request.provider in (None, LOCAL) else ""
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_CHAT,
        span_names.PROVIDER: request.provider or LOCAL,
        span_names.REQUEST_MAX_TOKENS: request.max_tokens,
        span_names.REQUEST_TEMPERATURE: request.temperature,
    }
    if model := request.model or own:
        attributes[span_names.REQUEST_MODEL] = model
    if shows_content():
        attributes[span_names.INPUT_MESSAGES] = _messages((m.role, m.content) for m in request.messages)
    name = f"{span_names.CHAT} {request.model}" if request.model else span_names.CHAT
    with span(name, attributes, kind=SpanKind.CLIENT) as made:
        yield ChatSpan(made, tracing.model)


class ChatSpan:
    """The span of a request to the language model, or nothing."""

    def __init__(self, made: Span | None, own: str = "") -> None:
        """`own`: the name of this server's model, which says none of itself."""
        self._span = made
        self._own = own
        self._began = time.monotonic()
        self._first = True

    def first(self) -> None:
        """The answer begins. Called for every delta: only the first counts."""
        if self._span is not None and self._first:
            self._first = False
            self._span.add_event(span_names.FIRST_DELTA)
            self._span.set_attribute(span_names.TIME_TO_FIRST_CHUNK, round(time.monotonic() - self._began, 4))

    def completed(self, completion: Completion, text: str) -> None:
        if self._span is None:
            return
        attributes: dict[str, AttributeValue] = {
            span_names.FINISH_REASONS: [completion.finish],
            span_names.INPUT_TOKENS: completion.tokens_in,
            span_names.OUTPUT_TOKENS: completion.tokens_out,
        }
        if completion.provider:
            attributes[span_names.PROVIDER] = completion.provider
        here = completion.provider in (None, "", LOCAL)
        if model := completion.model or (self._own if here else ""):
            attributes[span_names.RESPONSE_MODEL] = model
        if shows_content():
            attributes[span_names.OUTPUT_MESSAGES] = _messages([("assistant", text)])
        self._span.set_attributes(attributes)


_UNTOLD = ChatSpan(None)


def _messages(said: Iterable[tuple[str, str]]) -> str:
    """As the conventions write messages."""
    attributes = [{"role": role, "parts": [{"type": "text", "content": content}]} for role, content in said]
    return json.dumps(attributes, ensure_ascii=False)
