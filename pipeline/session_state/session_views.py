"""Sessions as they stand now, folded from the log and kept up to date on demand."""

import pickle
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from pipeline.core.clock import TimeSlice
from pipeline.eventlog.event_log import EventLog, Head
from pipeline.session_state.conversation import Conversation
from schemas.errors import SessionGone, SessionNotFound
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

_PAGE = 500
"""Events that are read in one go."""
_START: Final = Seq(0)
_WITH_SETTINGS: Final = frozenset({"session.started", "settings.changed", "turn.requested"})
_EVENTS: Final = 2_000_000
"""Of all sessions in memory, beside one more: 160 MB of conversations, at worst a gigabyte. The longest that
the log takes has about half of them."""
_BYTES: Final = 128 << 20
"""Of what their events say, beside one more: as objects, it takes nine times as much at worst."""
_IDLE_S: Final = 180.0
"""So long after it was last asked for, a session is folded from the log anew."""


class Folded(Protocol):
    """Fold of a session's events."""

    @property
    def head(self) -> Seq:
        """The latest event that it has."""
        ...

    def apply(self, recorded: Recorded) -> None: ...


F = TypeVar("F", bound=Folded)
T = TypeVar("T")


class Views(Generic[F]):
    """At most `size` sessions in memory, of about `events` events with `event_bytes` of data.

    When one is asked for, those go that nobody has asked for lately.
    """

    def __init__(
        self,
        log: EventLog,
        make: Callable[[], F],
        *,
        size: int = 256,
        events: int = _EVENTS,
        event_bytes: int = _BYTES,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log = log
        self._events = events
        self._bytes = event_bytes
        self._make = make
        self._size = size
        self._clock_s = clock_s
        self._views: OrderedDict[SessionId, _Kept[F]] = OrderedDict()
        """The least recently asked for first."""

    async def head(self, session: SessionId) -> Head:
        """Raises SessionNotFound or SessionGone."""
        return _live(session, (await self.log.heads([session]))[0])

    async def get(self, session: SessionId, seen: Head | None = None) -> tuple[F, Head]:
        """The session up to (at least) the head as it was on calling. Read it, don't keep it.

        `seen`: the head that was asked for on behalf of the same request; None: it is asked for now. In
        either case the view has what this process has written since (see `wrote`).
        """
        events: Sequence[Recorded] = ()
        if seen is None:
            tail = await self.log.tail(session, self.known(session))
            seen, events = _live(session, tail.head), tail.events
        kept = self._kept(session)
        async with kept.lock:
            known = kept.head
            await advance(kept, events)
            await fold(self.log, session, kept, upto=max(seen.seq, kept.written))
        if not known:  # others have been begun while it was folded
            self._make_room(beside=kept)
        return kept.folded, seen

    def recent(self, session: SessionId, seq: Seq) -> F | None:
        """The session as it is known here, if that is up to `seq` and what this process has written."""
        if self.known(session) < seq:
            return None
        kept = self._kept(session)
        return kept.folded if kept.folded.head >= kept.written else None

    def wrote(self, session: SessionId, seq: Seq) -> None:
        """This process's command is in the log at `seq`: the next view has it, whatever its head says."""
        if (kept := self._views.get(session)) is not None:
            kept.written = max(kept.written, seq)

    def known(self, session: SessionId) -> Seq:
        """Last event of the session that is known here; 0: none is."""
        kept = self._views.get(session)
        return _START if kept is None or kept.failovers != self.log.failovers else kept.folded.head

    async def copied(self, session: SessionId) -> F | None:
        """One's own of what is known here, as old as it is; None: nobody has asked for the session lately."""
        kept = self._views.get(session)
        if kept is None or kept.failovers != self.log.failovers:
            return None
        async with kept.lock:
            if kept.folded.head <= _PAGE:
                return own_copy(kept.folded)
            # Others are served meanwhile, with breaks: it holds the interpreter for some 10 ms at a time.
            return await anyio.to_thread.run_sync(own_copy, kept.folded)

    def _kept(self, session: SessionId) -> "_Kept[F]":
        now_s, failovers = self._clock_s(), self.log.failovers
        kept = self._views.pop(session, None)
        if (
            kept is None or kept.failovers != failovers
        ):  # other events may have the places of some that it has
            kept = _Kept(self._make(), failovers)
            self._make_room(beside=kept)
        self._views[session], kept.asked_s = kept, now_s
        while len(self._views) > self._size or next(iter(self._views.values())).asked_s < now_s - _IDLE_S:
            self._views.popitem(last=False)
        return kept

    def _make_room(self, *, beside: "_Kept[F]") -> None:
        """Of the others, those go that were asked for least recently, until they are within the bounds."""
        others = [(session, one) for session, one in self._views.items() if one is not beside]
        events: int = sum(one.head for _, one in others)
        size = sum(one.event_bytes for _, one in others)
        for session, one in others:
            if events <= self._events and size <= self._bytes:
                return
            del self._views[session]
            events, size = events - one.head, size - one.event_bytes

    def forget(self, session: SessionId) -> None:
        self._views.pop(session, None)


@dataclass(slots=True)
class _Kept(Generic[F]):
    folded: F
    failovers: int
    """Of the log, when it was begun."""
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    asked_s: float = 0.0
    written: Seq = _START
    """Last event that a command of this process wrote."""
    event_bytes: int = 0
    """Data of the events that it is folded of."""

    @property
    def head(self) -> Seq:
        return self.folded.head

    def apply(self, recorded: Recorded) -> None:
        self.folded.apply(recorded)
        self.event_bytes += recorded.size


class SessionViews(Views[Conversation]):
    """Views of sessions as conversations."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log, Conversation)


def own_copy(folded: T) -> T:
    """Of everything in it; a tenth of the time that folding the same events takes."""
    copy: T = pickle.loads(pickle.dumps(folded, pickle.HIGHEST_PROTOCOL))  # our own, from this line
    return copy


async def fold(log: EventLog, session: SessionId, folded: Folded, *, upto: int) -> None:
    """Apply what the log has after the fold's head, up to at least `upto`."""
    while folded.head < upto:
        page = await log.read(session, folded.head, limit=_PAGE)
        if not page:
            return
        await advance(folded, page)


async def advance(folded: Folded, events: Sequence[Recorded]) -> None:
    """Applies those of consecutive events that come next; nothing where there is a gap before them.

    Others are served in between: some events of an import take a hundred times as long as usual.
    """
    slice_ = TimeSlice()
    for recorded in events:
        if recorded.seq == folded.head + 1:
            folded.apply(recorded)
            await slice_.pause_if_over()


def _live(session: SessionId, head: Head | None) -> Head:
    """Raises SessionNotFound or SessionGone."""
    if head is None:
        raise SessionNotFound(f"there is no session {session}", field="session_id")
    if head.state == "deleted":
        raise SessionGone(f"session {session} was deleted", field="session_id")
    return head


_KNOWN: Final = 20_000


class Ownership:
    """Owner and kind of sessions: reads the first event of each once."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known: OrderedDict[SessionId, tuple[str, str]] = OrderedDict()

    async def of(self, session: SessionId) -> str | None:
        """The principal's name; None where there is no such session (any more)."""
        known = await self._first(session)
        return None if known is None else known[0]

    async def kind(self, session: SessionId) -> str:
        """Its kind; empty for a session that is gone."""
        known = await self._first(session)
        return "" if known is None else known[1]

    async def _first(self, session: SessionId) -> tuple[str, str] | None:
        """Principal and kind."""
        if session in self._known:
            self._known.move_to_end(session)
            return self._known[session]
        first = await self._log.read(session, Seq(0), limit=1)
        if not first or first[0].type != "session.started":
            return None
        data = first[0].data
        known = self._known[session] = (data.get("principal", ""), data.get("kind", "session"))
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return known


def for_others(recorded: Recorded) -> Recorded:
    """The event without what is its owner's alone: names of share links, and pronunciations of names."""
    data = recorded.data
    if recorded.type == "share.created":
        return replace(recorded, data={**data, "label": ""})
    if recorded.type in _WITH_SETTINGS and data.get("settings", {}).get("pronunciations"):
        return replace(recorded, data={**data, "settings": {**data["settings"], "pronunciations": []}})
    return recorded
