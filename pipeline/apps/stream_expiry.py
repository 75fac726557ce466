"""Erases streams whose time is over, and those that a gateway left behind while it created them."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from pipeline.apps.streams import name_log
from pipeline.background.session_directory import Directory, kinds_of
from pipeline.core.clock import Clock
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.session_views import fold
from pipeline.session_state.stream_state import StreamName, StreamState
from schemas.errors import LogError
from schemas.ids import Seq, SessionId, created_ms

_LATE_MS: Final = 60_000
"""A stream is erased so long after its end: the clocks of gateways and workers differ."""
_CREATED_MS: Final = 3_600_000
"""A stream that no name stands for so long after its creation never gets one."""
_PAGE: Final = 500
_logger = logging.getLogger(__name__)


class StreamExpiry:
    """Frees the room of streams that are gone for those who ask already. Any number may work at once."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        partitions: Callable[[], Awaitable[int]],
        clock: Clock,
    ) -> None:
        self._log = log
        self._directory = directory
        self._partitions = partitions
        self._clock = clock
        self._stay: set[SessionId] = set()
        """Streams that have a name and no end, and sessions that are no streams."""

    async def sweep(self) -> list[SessionId]:
        """The streams that were erased now."""
        erased: list[SessionId] = []
        stay: set[SessionId] = set()
        for partition in range(await self._partitions()):
            known = await self._directory.known(partition)
            stay |= self._stay.intersection(known)
            new = [session for session in known if session not in self._stay]
            for at in range(0, len(new), _PAGE):
                page = new[at : at + _PAGE]
                kinds = await kinds_of(self._log, self._directory, page)
                kind_of = {session: kind for session, kind in zip(page, kinds, strict=True) if kind}
                stay |= {session for session, kind in kind_of.items() if kind != "stream"}
                for session in kind_of.keys() - stay:
                    if await self._is_over(session, stay):
                        await self._log.delete(session)
                        erased.append(session)
                        _logger.info("stream %s is erased: it has expired, or never got its name", session)
        self._stay = stay
        return erased

    async def _is_over(self, session: SessionId, stay: set[SessionId]) -> bool:
        """One stream's trouble is not the others'; the next sweep tries again."""
        try:
            return await self._ended(session, stay)
        except LogError as error:
            _logger.warning("stream %s: it is not known whether it has expired: %s", session, error)
            return False

    async def _ended(self, session: SessionId, stay: set[SessionId]) -> bool:
        begin, now_ms = await self._log.read(session, Seq(0), limit=2), self._clock.now_ms()
        if not begin:
            return False  # it was deleted meanwhile
        if not await self._has_name(session, begin[0].data.get("principal", ""), begin[0].data["title"]):
            return now_ms - created_ms(session) > _CREATED_MS
        state = StreamState()
        for recorded in begin:
            state.apply(recorded)
        [head] = await self._log.heads([session])
        if state.created is None or head is None or head.state == "deleted":
            return False
        for recorded in await self._log.read(session, Seq(head.seq - 1), limit=1):
            state.apply(recorded)
        ends_ms = state.ends_ms()
        if ends_ms is None:
            stay.add(session)
        return ends_ms is not None and ends_ms + _LATE_MS <= now_ms

    async def _has_name(self, session: SessionId, principal: str, name: str) -> bool:
        key, named = name_log(principal, name), StreamName()
        [head] = await self._log.heads([key])
        if head is not None:
            await fold(self._log, key, named, upto=head.seq)
        return named.session == session
