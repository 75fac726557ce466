"""Asks for the end of sessions that everybody has left."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.session_directory import Directory, kinds_of
from pipeline.eventlog.event_log import Batch, EventLog, Head, Verdict
from schemas.events import Kind, SessionEndRequested
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, SessionId, created_ms
from schemas.settings import IdleSettings

_logger = logging.getLogger(__name__)
_NEVER: Final = 0.0


class Reaper:
    """Only asks: the session's next owner ends it. Two reapers ask once between them."""

    def __init__(
        self,
        log: EventLog,
        maintenance: RedisMaintenance,
        directory: Directory,
        settings: IdleSettings,
        clock_ms: Callable[[], int],
    ) -> None:
        self._log = log
        self._maintenance = maintenance
        self._directory = directory
        self._clock_ms = clock_ms
        self._idle_s: dict[Kind, float] = {
            "session": settings.session_s,
            "story": settings.story_s,
            "narration": settings.narration_s,
            "thread": settings.thread_s,
            "completion": settings.completion_s,
            "user": _NEVER,
            "collection": _NEVER,
            "stream": _NEVER,
        }

    async def sweep(self) -> list[SessionId]:
        """The sessions whose end was asked for now."""
        limits = [limit for limit in self._idle_s.values() if limit]
        if not limits:
            return []
        asked: list[SessionId] = []
        now_ms = self._clock_ms()
        async for page in self._maintenance.idle(int(now_ms - min(limits) * 1000)):
            asked += await self._reap(page, now_ms)
        return asked

    async def _reap(self, sessions: Sequence[SessionId], now_ms: int) -> list[SessionId]:
        kinds = await kinds_of(self._log, self._directory, sessions)
        kind_of = {session: kind for session, kind in zip(sessions, kinds, strict=True) if kind is not None}
        left = await self._left(kind_of, now_ms)
        # From here on whatever happens in the session makes the append fail; what came before shows below.
        heads = await self._log.heads(left)
        still = set(await self._left({session: kind_of[session] for session in left}, now_ms))
        due = [
            (session, head)
            for session, head in zip(left, heads, strict=True)
            if session in still and head is not None and head.state == "live"
        ]
        return await self._ask([one for one in due if not await self._is_asked(*one)], now_ms)

    async def _is_asked(self, session: SessionId, head: Head) -> bool:
        """True if the latest event asks for the session's end already: another request would not help."""
        latest = await self._log.read(session, Seq(head.seq - 1), limit=1)
        return any(event.type == "session.end_requested" for event in latest)

    async def _left(self, kind_of: Mapping[SessionId, Kind], now_ms: int) -> list[SessionId]:
        """Those in which nothing has happened for long, and that nobody listens to.

        The events of an import or a fork may be older than the session that holds them.
        """
        sessions = list(kind_of)
        latest = await self._maintenance.latest_ms(sessions)
        listeners = await self._maintenance.listeners(sessions)
        return [
            session
            for session, at_ms, heard in zip(sessions, latest, listeners, strict=True)
            if at_ms is not None
            and not heard
            and self._is_over(kind_of[session], now_ms - max(at_ms, created_ms(session)))
        ]

    def _is_over(self, kind: Kind, idle_ms: int) -> bool:
        limit = self._idle_s[kind]
        return bool(limit) and idle_ms >= limit * 1000

    async def _ask(self, due: Sequence[tuple[SessionId, Head]], now_ms: int) -> list[SessionId]:
        if not due:
            return []
        event = NewEvent(SessionEndRequested(reason="idle"), now_ms)
        batches = [
            Batch(session, f"reaper.{head.seq}", 1, [event], expected=head.seq) for session, head in due
        ]
        outcomes = await self._log.append(batches)
        asked = [
            session
            for (session, _), outcome in zip(due, outcomes, strict=True)
            if outcome.verdict is Verdict.OK
        ]
        for session in asked:
            _logger.info("session %s was left by everybody: asked for its end", session)
        return asked
