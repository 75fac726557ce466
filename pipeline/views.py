"""Sessions as they stand now, folded from the log and kept up to date on demand."""

from collections import OrderedDict

import anyio

from pipeline.conversation import Conversation
from pipeline.log.base import EventLog, Head
from schemas.errors import SessionGone, SessionNotFound
from schemas.ids import SessionId

_PAGE = 2_000


class SessionViews:
    """At most `size` conversations in memory; the least recently asked for is forgotten."""

    def __init__(self, log: EventLog, *, size: int = 256) -> None:
        self.log = log
        self._size = size
        self._views: OrderedDict[SessionId, tuple[Conversation, anyio.Lock]] = OrderedDict()

    async def head(self, session: SessionId) -> Head:
        """Raises SessionNotFound or SessionGone."""
        head = (await self.log.heads([session]))[0]
        if head is None:
            raise SessionNotFound(f"there is no session {session}", field="session_id")
        if head.state == "deleted":
            raise SessionGone(f"session {session} was deleted", field="session_id")
        return head

    async def get(self, session: SessionId) -> tuple[Conversation, Head]:
        """The conversation up to (at least) the head as it was on calling. Read it, don't keep it."""
        head = await self.head(session)
        conversation, lock = self._views.setdefault(session, (Conversation(), anyio.Lock()))
        self._views.move_to_end(session)
        while len(self._views) > self._size:
            self._views.popitem(last=False)
        async with lock:
            await fold(self.log, session, conversation, upto=head.seq)
        return conversation, head

    def forget(self, session: SessionId) -> None:
        self._views.pop(session, None)


async def fold(log: EventLog, session: SessionId, conversation: Conversation, *, upto: int) -> None:
    """Apply what the log has after the conversation's head, up to at least `upto`."""
    while conversation.head < upto:
        page = await log.read(session, conversation.head, limit=_PAGE)
        if not page:
            return
        for recorded in page:
            conversation.apply(recorded)
