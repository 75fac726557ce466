"""Leases on sessions, on Redis: who has one may run the session's turns. The server's clock ends them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pipeline.eventlog.event_log import Lease
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.failover.failover_hold import FailoverHold


class RedisLeases:
    """Taken, renewed and given back; a failover's grace has its say in it."""

    def __init__(
        self,
        ready: Callable[[], Awaitable[Keys]],
        call: Callable[..., Awaitable[list[Any]]],
        grace: FailoverHold,
    ) -> None:
        self._ready = ready
        self._call = call
        self._grace = grace

    async def take(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        """Take or renew them all in one call; whether each is held, in their order."""
        keys = await self._ready()
        asked = [lease for lease in leases if self._grace.may_take(*lease)]
        commands = [("FCALL", "ev2_acquire", 1, keys.lease(lease[0]), lease[1], ttl_ms) for lease in asked]
        replies = dict(zip(asked, await self._call(*commands), strict=True)) if asked else {}
        return [
            lease in replies and await self._settle(lease, taken=bool(replies[lease])) for lease in leases
        ]

    async def _settle(self, lease: Lease, *, taken: bool) -> bool:
        if taken and not self._grace.may_take(*lease):
            await self.release(lease)  # the failover was at this very moment
            return False
        (self._grace.taken if taken else self._grace.gone)(*lease)
        return taken

    async def release(self, lease: Lease) -> None:
        session, owner = lease
        self._grace.gone(session, owner)
        keys = await self._ready()
        await self._call(("FCALL", "ev2_release", 1, keys.lease(session), owner))
