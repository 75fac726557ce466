"""Sessions that last as long as one answer: who waits for it, and what happens when nobody does any more."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Final

import anyio

from pipeline.core.clock import Clock
from pipeline.core.task_scope import TaskScope
from pipeline.delivery.listener import Listening, SessionListener
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.tailer import Tailer
from pipeline.sessions.session_commands import Sessions
from schemas.errors import NothingToControl, RhapsodeError, SessionAlreadyEnded
from schemas.ids import NO_TURN, Seq, SessionId, TurnId
from schemas.native.client_commands import Control

log = logging.getLogger(__name__)

_PAGE: Final = 1_000
_FAREWELL_S: Final = 60.0
"""How long the end of a stopped answer is waited for."""


class EphemeralSessions(TaskScope):
    """A context manager. Ends a session when its answer is over and nobody here waits for it any more; an
    answer that everybody has left is stopped first, after a grace, unless it is to be kept.

    It has at most one task for each session that was left, for as long as its answer takes.
    """

    def __init__(
        self, log: EventLog, sessions: Sessions, tailer: Tailer, clock: Clock, *, grace_s: float
    ) -> None:
        super().__init__()
        self._log = log
        self._sessions = sessions
        self._tailer = tailer
        self._clock = clock
        self._grace_s = grace_s
        self._waiting: Counter[SessionId] = Counter()
        self._since: dict[SessionId, Seq] = {}
        """A client that returns after this does not count among those waiting here."""

    @contextmanager
    def waiting(
        self, session: SessionId, turn: TurnId = NO_TURN, *, since: Seq | None = None, keep: bool = False
    ) -> Iterator[None]:
        """Counts a waiting client while the block lasts; without a turn only the session counts.

        `since` is what `returned` said; they are there from the beginning otherwise.
        """
        self._waiting[session] += 1
        self._since[session] = max(since or Seq(turn), self._since.get(session, Seq(0)))
        try:
            yield
        finally:
            self._waiting[session] -= 1
            if not self._waiting[session]:
                del self._waiting[session]
                left = self._since.pop(session)
                if self._group is not None:
                    self._group.start_soon(self._left, session, turn, left, keep)

    async def _left(self, session: SessionId, turn: TurnId, since: Seq, keep: bool) -> None:
        try:
            if not await self._over(session, turn):
                if not keep and await self._stays_left(session, turn, since):
                    await self._stop(session, turn)
                with anyio.move_on_after(None if keep else _FAREWELL_S):
                    await self._to_its_end(session, turn)
            if session not in self._waiting and await self._over(session, turn):
                await self._sessions.finish(session)
        except SessionAlreadyEnded:
            pass
        except RhapsodeError as error:
            log.warning("session %s, which was left, is not ended: %s", session, error)
        except Exception:  # the others that were left are still to be ended
            log.exception("session %s, which was left, is not ended", session)

    async def _over(self, session: SessionId, turn: TurnId) -> bool:
        conversation, _ = await self._sessions.view(session)
        return turn == NO_TURN or conversation.ended or conversation.turns[turn].over

    async def returned(self, session: SessionId) -> Seq | None:
        """Resumes an answer that its client had left, also one that another process holds."""
        with suppress(SessionAlreadyEnded):
            return await self._sessions.control(session, Control(action="resume"))
        return None

    async def _stays_left(self, session: SessionId, turn: TurnId, since: Seq) -> bool:
        """Whether nobody came back, here or elsewhere, before it was noticed or within the grace."""
        await self._clock.sleep(self._grace_s)
        if session in self._waiting or await self._over(session, turn):
            return False
        while page := await self._log.read(session, since, limit=_PAGE):
            if any(recorded.type == "playback.resumed" for recorded in page):
                return False
            since = page[-1].seq
        return True

    async def _stop(self, session: SessionId, turn: TurnId) -> None:
        try:
            await self._sessions.control(session, Control(action="stop", turn=turn))
        except NothingToControl:
            return  # just over

    async def _to_its_end(self, session: SessionId, turn: TurnId) -> None:
        conversation, head = await self._sessions.view(session)
        params = Listening(after=Seq(turn), turn=turn, turn_ended=conversation.turns[turn].ended_at)
        events = SessionListener(self._log, self._tailer, self._clock).listen(session, head, params)
        async with aclosing(events) as batches:
            async for _ in batches:
                pass
