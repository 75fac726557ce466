"""How many bytes of the log each principal takes: sessions that are not archived, by the log's own count, and
client secrets that have not expired."""

import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from pipeline.auth.client_secrets import secret_bytes
from pipeline.background.session_directory import Directory
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.ids import SessionId

FRESH_S: Final = 20.0
"""So long a count is believed, with what was written here since added to it ..."""
_FRESH_COUNTS: Final = 100
"""... and so many times as long as it took: who has many sessions is counted less often."""
_PART: Final = 8
"""It is counted sooner when this part of what was left has been written here: other gateways may have taken
as much. Larger: more counts, and less beyond the quota where many gateways are written to at once."""
AGAIN_S: Final = 1.0
"""Before somebody is refused it is counted again, but not more often: they may have deleted something ..."""
_AGAIN_COUNTS: Final = 10
"""... and at most a tenth of the time is spent with it."""
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
    took_s: float = 0.0
    """The time of the count."""

    @property
    def total(self) -> int:
        return self.counted + self.since

    def believe(self) -> None:
        """It is being counted again: others go on with it meanwhile."""
        self.at = time.monotonic()

    def is_old(self, most: int) -> bool:
        """`most`: bytes that are allowed."""
        age_s = time.monotonic() - self.at
        if self.since * _PART > most - self.counted:
            return age_s > _AGAIN_COUNTS * self.took_s
        return age_s > max(FRESH_S, _FRESH_COUNTS * self.took_s)

    @property
    def may_be_wrong(self) -> bool:
        """Old enough to be counted again before it is a reason to refuse."""
        return time.monotonic() - self.at > max(AGAIN_S, _AGAIN_COUNTS * self.took_s)


class Stored:
    """Counts by the list of sessions, which lags a little: what is written here meanwhile is added."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log
        self._directory = Directory(log)
        self._known: dict[str, Usage] = {}

    def known(self, principal: str) -> Usage:
        """As it was counted last; old and of nothing where it never was."""
        return self._known.get(principal) or self._keep(principal, Usage(at=-math.inf))

    async def count(self, principal: str) -> Usage:
        """Count now. Raises LogError."""
        known, begun = self.known(principal), time.monotonic()
        known.believe()
        before = known.since
        usage = await self._count(principal)
        usage.since, usage.took_s = known.since - before, time.monotonic() - begun
        return self._keep(principal, usage)

    def _keep(self, principal: str, usage: Usage) -> Usage:
        self._known.pop(principal, None)
        while len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[principal] = usage
        return usage

    async def _count(self, principal: str) -> Usage:
        usage = Usage()
        sizes: list[tuple[int, SessionId]] = []
        async for page in self._pages(principal):
            keys = await self._log.keys()
            commands: list[Command] = [("HMGET", keys.meta(session), "by", "st") for session in page]
            for session, (size, state) in zip(page, await self._log.call(*commands), strict=True):
                if size is not None and state not in _GONE:
                    sizes.append((int(size), session))
        usage.counted = sum(size for size, _ in sizes) + await secret_bytes(self._log, principal)
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
