"""Sessions as they stand now, folded from the log and kept up to date on demand."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio

from pipeline.conversation import Conversation
from pipeline.log.base import EventLog, Head
from schemas.errors import SessionGone, SessionNotFound
from schemas.ids import Seq, SessionId
from schemas.recorded import Recorded

_PAGE = 500
"""Facts that are read and folded in one go; nobody else of the process is served meanwhile."""


class Folded(Protocol):
    """What a session's facts add up to."""

    head: Seq

    def apply(self, recorded: Recorded) -> None: ...


F = TypeVar("F", bound=Folded)


class Views(Generic[F]):
    """At most `size` sessions in memory; the least recently asked for is forgotten."""

    def __init__(self, log: EventLog, make: Callable[[], F], *, size: int = 256) -> None:
        self.log = log
        self._make = make
        self._size = size
        self._views: OrderedDict[SessionId, tuple[F, anyio.Lock]] = OrderedDict()

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
        folded, lock = self._views.setdefault(session, (self._make(), anyio.Lock()))
        self._views.move_to_end(session)
        while len(self._views) > self._size:
            self._views.popitem(last=False)
        async with lock:
            await fold(self.log, session, folded, upto=head.seq)
        return folded, head

    def forget(self, session: SessionId) -> None:
        self._views.pop(session, None)


class SessionViews(Views[Conversation]):
    """Views of sessions as conversations."""

    def __init__(self, log: EventLog, *, size: int = 256) -> None:
        super().__init__(log, Conversation, size=size)


async def fold(log: EventLog, session: SessionId, folded: Folded, *, upto: int) -> None:
    """Apply what the log has after the fold's head, up to at least `upto`."""
    while folded.head < upto:
        page = await log.read(session, folded.head, limit=_PAGE)
        if not page:
            return
        for recorded in page:
            folded.apply(recorded)
