"""The span of a listener: a trace of its own, linked to the turns that were heard."""

from collections.abc import Iterable
from typing import Final

from opentelemetry.trace import Span, SpanKind

from pipeline.observability import span_names
from pipeline.observability.tracer import Tracing, TurnTrace, root
from schemas.events.recorded import Recorded

_LINKS: Final = 64
"""Of one listener; who hears more turns is linked to the first ones."""


class ListenSpan:
    """One listener, from its first event to its last; nothing where nothing is traced."""

    def __init__(
        self, tracing: Tracing | None, session: str, *, after: int, head: int, speed: float | None
    ) -> None:
        """`head`: where the log ended then; what is older is heard again."""
        self._session = session
        self._head = head
        self._events = 0
        self._turns: set[int] = set()
        self._callers: dict[int, str] = {}
        """Of turns that were asked for and have not begun; who comes later does not know their callers."""
        self._span: Span | None = None
        if tracing is not None:
            self._span = root(
                tracing,
                span_names.LISTEN,
                {
                    span_names.CONVERSATION: session,
                    span_names.FROM_SEQ: after,
                    span_names.SPEED: "live" if speed is None else str(speed),
                },
                kind=SpanKind.SERVER,
            )

    def took(self, batch: Iterable[Recorded]) -> None:
        if self._span is None:
            return
        for recorded in batch:
            self._events += 1
            turn = recorded.turn
            if len(self._turns) >= _LINKS:
                continue
            if recorded.type == "turn.requested" and (caller := recorded.data.get("traceparent")):
                self._callers[recorded.seq] = caller
            if turn and turn not in self._turns:
                self._turns.add(turn)
                trace = TurnTrace.of(self._session, turn, self._callers.pop(turn, ""))
                link = trace.link(self._why(recorded))
                self._span.add_link(link.context, link.attributes)

    def _why(self, recorded: Recorded) -> str:
        return span_names.LINK_REPLAY if recorded.seq <= self._head else span_names.LINK_LIVE

    def end(self, reason: str | None) -> None:
        """`reason`: why there is no more; None: the listener left."""
        if self._span is not None:
            self._span.set_attributes({span_names.EVENTS: self._events, span_names.END: reason or "left"})
            self._span.end()
