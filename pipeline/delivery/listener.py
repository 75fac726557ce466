"""One listener: where it starts, how fast it hears the past, and when it is done. Reads only the log."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from opentelemetry.trace import Span, SpanKind

from pipeline.core.clock import Clock
from pipeline.eventlog.event_log import EventLog, Head
from pipeline.eventlog.tailer import Tailer
from pipeline.observability import span_names
from pipeline.observability.tracer import Tracing, TurnTrace, root
from schemas.errors import CursorAhead, CursorForeign, CursorMalformed
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, SessionId, TurnId, is_digits

_LINKS: Final = 64
"""Of one listener; who hears more turns is linked to the first ones."""
EndReason = Literal["caught_up", "turn_over", "session_ended"]
_PAGE = 200
LONGEST_PAUSE_MS = 2_000
"""When replaying at pace, silence between two turns is cut to this; within a turn every gap is kept."""


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

    def add_batch(self, batch: Iterable[Recorded]) -> None:
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


@dataclass(frozen=True, slots=True)
class Listening:
    """Parameters of a listener's request."""

    after: Seq
    speed: float | None = None
    """None: the past at once, then live. 0: the same. Above: the past at its recorded pace, times this."""
    follow: bool = True
    """False: end at the head as it was on connecting."""
    turn: TurnId = NO_TURN
    """End after this turn's terminal event."""
    turn_ended: Seq | None = None
    """Where that event is, if it was there already."""
    buffer: int = 256
    audio: bool = False
    idle_s: float = 15.0
    """An empty batch says that nothing came for so long."""

    def over(self, head: Head) -> EndReason | None:
        """The reason why nothing can come any more, before anything was read."""
        if self.turn_ended is not None and self.after >= self.turn_ended:
            return "turn_over"
        return "caught_up" if not self.follow and self.after >= head.seq else None


def parse_cursor(text: str, head: Head) -> Seq:
    """The sequence number that a public cursor names: `<generation>-<seq>`, a bare number, or `head`."""
    if text == "head":
        return head.seq
    generation, dash, number = text.rpartition("-")
    if not is_digits(number) or bool(dash) != bool(generation):
        raise CursorMalformed(
            f"{text[:80]!r} is no cursor; send the id of the last event you have handled", field="from"
        )
    if dash and generation != head.generation:
        raise CursorForeign("this cursor belongs to another session", field="from")
    if int(number) > head.seq:
        raise CursorAhead(f"the session ends at {head.seq}, the cursor names {int(number)}", field="from")
    return Seq(int(number))


class SessionListener:
    """Events for one connection, in order, each once; `end` says why they stopped."""

    def __init__(self, log: EventLog, tailer: Tailer, clock: Clock) -> None:
        self._log = log
        self._tailer = tailer
        self._clock = clock
        self.end: EndReason | None = None
        self.last = Seq(0)

    async def listen(
        self, session: SessionId, head: Head, params: Listening
    ) -> AsyncGenerator[list[Recorded], None]:
        """Batches of events from `params.after` on, empty ones when it is quiet. Close it to leave."""
        self.last = params.after
        self.end = params.over(head)
        if self.end:
            return
        if params.speed:
            async with aclosing(self._paced(session, head, params)) as past:
                async for batch in past:
                    yield self._cut(batch, head, params)
                    if self.end:
                        return
        now = None if params.speed else head  # a past that is replayed takes its time
        async with self._tailer.follow(
            session, self.last, audio=params.audio, buffer=params.buffer, idle_s=params.idle_s, head=now
        ) as live:
            async for batch in live:
                cut = [self._cut(batch, head, params)]
                del batch
                yield cut.pop()  # a client may take it slowly, and only its connection holds it then
                if self.end:
                    return
        self.end = "session_ended"

    def _cut(self, batch: list[Recorded], head: Head, params: Listening) -> list[Recorded]:
        """As much of the batch as the wish covers; sets `end` when that is all."""
        for number, recorded in enumerate(batch, 1):
            self.last = recorded.seq
            if params.turn and recorded.turn == params.turn and recorded.type in TERMINAL:
                self.end = "turn_over"
            elif recorded.type == "session.ended":
                self.end = "session_ended"
            elif not params.follow and recorded.seq >= head.seq:
                self.end = "caught_up"
            if self.end:
                return batch[:number]
        return batch

    async def _paced(
        self, session: SessionId, head: Head, params: Listening
    ) -> AsyncGenerator[list[Recorded], None]:
        """The past up to the head, each event when its time has come (absolute times: no drift)."""
        pace = _Pace(params.speed or 1.0, self._clock.monotonic())
        after = params.after
        while after < head.seq:
            page = await self._log.read(session, after, limit=_PAGE, audio=params.audio)
            for recorded in page:
                if recorded.seq > head.seq:
                    return
                due = pace.due(recorded)
                while (early := due - self._clock.monotonic()) > 0:
                    await self._clock.sleep(min(early, params.idle_s))
                    if early > params.idle_s:
                        yield []
                yield [recorded]
                after = recorded.seq
            if not page:
                return


class _Pace:
    """When each event of the past is due, on the listener's monotonic clock."""

    def __init__(self, speed: float, now: float) -> None:
        self._speed = speed
        self._due = now
        self._before: Recorded | None = None

    def due(self, recorded: Recorded) -> float:
        if self._before is not None:
            gap = recorded.ts_ms - self._before.ts_ms
            if recorded.type == "turn.requested" or not recorded.turn:
                gap = min(gap, LONGEST_PAUSE_MS)
            self._due += gap / 1_000 / self._speed
        self._before = recorded
        return self._due
