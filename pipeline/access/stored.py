"""How many bytes of the log each principal takes: sessions that are not archived, by the log's own count."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from pipeline.log.redis_directory import RedisDirectory
from pipeline.log.redis_log import RedisEventLog
from pipeline.log.server import Command
from pipeline.workers.directory import Directory
from schemas.ids import SessionId

FRESH_S: Final = 20.0
"""So long a count is believed, with what was written here since added to it."""
AGAIN_S: Final = 1.0
"""Before somebody is refused it is counted again, but not more often: they may have deleted something."""
NAMED: Final = 3
"""So many of the largest sessions a refusal names."""
_PAGE: Final = 500
_KEPT: Final = 4_096
_GONE: Final = (b"archived", b"deleted")


@dataclass
class Usage:
    """Of one principal, as it was counted last."""

    counted: int = 0
    largest: tuple[tuple[SessionId, int], ...] = ()
    at: float = field(default_factory=time.monotonic)
    since: int = 0
    """Written here since then."""

    @property
    def total(self) -> int:
        return self.counted + self.since

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.at


class Stored:
    """Counts by the list of sessions, which lags a little: what is written here meanwhile is added."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log
        self._directory = Directory(RedisDirectory(log))
        self._known: dict[str, Usage] = {}

    async def of(self, principal: str, *, within_s: float = FRESH_S) -> Usage:
        """The usage, counted no longer ago than `within_s`. Raises LogError."""
        known = self._known.get(principal)
        if known is None or known.age_s > within_s:
            if known is not None:
                known.at = time.monotonic()  # others go on with it meanwhile
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            known = self._known[principal] = await self._count(principal)
        return known

    async def _count(self, principal: str) -> Usage:
        usage = Usage()
        sizes: list[tuple[int, SessionId]] = []
        async for page in self._pages(principal):
            keys = await self._log.keys()
            commands: list[Command] = [("HMGET", keys.meta(session), "by", "st") for session in page]
            for session, (size, state) in zip(page, await self._log.call(*commands), strict=True):
                if size is not None and state not in _GONE:
                    sizes.append((int(size), session))
        usage.counted = sum(size for size, _ in sizes)
        usage.largest = tuple((session, size) for size, session in sorted(sizes, reverse=True)[:NAMED])
        return usage

    async def _pages(self, principal: str) -> AsyncGenerator[list[SessionId], None]:
        page: list[SessionId] = []
        async for session in self._directory.all_of(principal):
            page.append(session)
            if len(page) == _PAGE:
                yield page
                page = []
        if page:
            yield page
