"""Sessions as they stand now, folded from the log and kept up to date on demand."""

import pickle
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from pipeline.eventlog.event_log import EventLog, Head
from pipeline.session_state.conversation import Conversation
from schemas.errors import SessionGone, SessionNotFound
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

_PAGE = 500
"""Events that are read and folded in one go; nobody else of the process is served meanwhile."""


_IDLE_S: Final = 180.0
"""So long after it was last asked for, a session is folded from the log anew."""


class Folded(Protocol):
    """Fold of a session's events."""

    head: Seq

    def apply(self, recorded: Recorded) -> None: ...


F = TypeVar("F", bound=Folded)


class Views(Generic[F]):
    """At most `size` sessions in memory; when one is asked for, those go that nobody has asked for lately."""

    def __init__(
        self,
        log: EventLog,
        make: Callable[[], F],
        *,
        size: int = 256,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log = log
        self._make = make
        self._size = size
        self._clock_s = clock_s
        self._views: OrderedDict[SessionId, _Kept[F]] = OrderedDict()
        """The least recently asked for first."""

    async def head(self, session: SessionId) -> Head:
        """Raises SessionNotFound or SessionGone."""
        head = (await self.log.heads([session]))[0]
        if head is None:
            raise SessionNotFound(f"there is no session {session}", field="session_id")
        if head.state == "deleted":
            raise SessionGone(f"session {session} was deleted", field="session_id")
        return head

    async def get(self, session: SessionId) -> tuple[F, Head]:
        """The session up to (at least) the head as it was on calling. Read it, don't keep it."""
        head = await self.head(session)
        kept = self._kept(session)
        async with kept.lock:
            await fold(self.log, session, kept.folded, upto=head.seq)
        return kept.folded, head

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
        self._views[session], kept.asked_s = kept, now_s
        while len(self._views) > self._size or next(iter(self._views.values())).asked_s < now_s - _IDLE_S:
            self._views.popitem(last=False)
        return kept

    def forget(self, session: SessionId) -> None:
        self._views.pop(session, None)


@dataclass(slots=True)
class _Kept(Generic[F]):
    folded: F
    failovers: int
    """Of the log, when it was begun."""
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    asked_s: float = 0.0


class SessionViews(Views[Conversation]):
    """Views of sessions as conversations."""

    def __init__(self, log: EventLog, *, size: int = 256) -> None:
        super().__init__(log, Conversation, size=size)


def own_copy(folded: F) -> F:
    """Of everything in it; a tenth of the time that folding the same events takes."""
    copy: F = pickle.loads(pickle.dumps(folded, pickle.HIGHEST_PROTOCOL))  # our own, from this line
    return copy


async def fold(log: EventLog, session: SessionId, folded: Folded, *, upto: int) -> None:
    """Apply what the log has after the fold's head, up to at least `upto`."""
    while folded.head < upto:
        page = await log.read(session, folded.head, limit=_PAGE)
        if not page:
            return
        for recorded in page:
            folded.apply(recorded)
