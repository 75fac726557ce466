"""Which inputs somebody listens to, as all processes know it: who dies leaves theirs to the others."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.ids import SessionId

HELD: Final = "ev:inputs"
"""A sorted set of the whole log: session and input, by the time until which somebody holds it."""
DOCUMENTS: Final = "ev:documents"
"""The same of collections and the documents that are being added to them."""
_REGULAR: Final = 0.75
"""Part of a lease in which every process looks again, unless it or the log stood still."""


class InputLease(NamedTuple):
    """An input of a session."""

    session: SessionId
    input: str


class InputLeases:
    """A shared list with a time limit on every entry. Doing something twice changes nothing.

    Times are the log server's: gateways need not agree about theirs.
    """

    def __init__(self, log: RedisEventLog, key: str = HELD) -> None:
        self._log = log
        self._key = key
        self._looked_ms: float = -math.inf
        self._waited = False
        """The last look came late, and left the living time to renew their leases."""

    async def hold(self, held: Sequence[InputLease], lease_ms: int) -> None:
        """They are listened to, for so long at least."""
        if not held:
            return
        until_ms = await self._log.now_ms() + lease_ms
        members = [argument for each in held for argument in (until_ms, _member(each))]
        await self._log.call(("ZADD", self._key, *members))

    async def let_go(self, held: InputLease) -> None:
        """It is closed."""
        await self._log.call(("ZREM", self._key, _member(held)))

    async def left(self, limit: int, lease_ms: int) -> list[InputLease]:
        """Those that nobody has held for longer than they said, and nobody has let go.

        `lease_ms`: for how long everybody holds theirs. None in the first look, nor in one that comes late:
        the log, or the machine, may have stood still, and the living renew their leases first.
        """
        now_ms = await self._log.now_ms()
        late, self._looked_ms = now_ms - self._looked_ms > _REGULAR * lease_ms, now_ms
        self._waited = late and not self._waited  # on a machine that is always late every other look is one
        if self._waited:
            return []
        found = await self._first(limit)
        return [held for held, until_ms in found if until_ms <= now_ms]

    async def all(self) -> list[InputLease]:
        """Those that were not let go, whether somebody holds them or not."""
        return [held for held, _ in await self._first(0)]

    async def _first(self, limit: int) -> list[tuple[InputLease, float]]:
        """With the time until which each is held; 0: all."""
        [flat] = await self._log.call(("ZRANGE", self._key, 0, limit - 1, "WITHSCORES"))
        found = zip(flat[::2], flat[1::2], strict=True)
        return [(_held(member.decode()), float(until_ms)) for member, until_ms in found]


def _member(held: InputLease) -> str:
    return f"{held.session} {held.input}"


def _held(member: str) -> InputLease:
    session, _, name = member.partition(" ")
    return InputLease(SessionId(session), name)
