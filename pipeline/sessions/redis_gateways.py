"""The register of gateways on Redis: two hashes in one place, renewed twice a second by who runs turns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.sessions.gateway_register import LOST_MS, Announced, GatewayPresence

HERE: Final = "ev:{gateways}:here"
"""Gateway -> what it says of itself."""
LEAVE: Final = "ev:{gateways}:leave"
"""Gateway -> when it was asked to go."""
_FORGET_MS: Final = 60_000


class RedisGateways:
    """A Register on the log's own server, by that server's clock: a gateway's own may be wrong by minutes."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def announce(self, presence: GatewayPresence) -> Announced:
        now_ms = await self._log.now_ms()
        presence = replace(presence, seen_ms=now_ms)
        _, asked, flat = await self._log.call(
            ("HSET", HERE, presence.gateway, presence.packed()),
            ("HEXISTS", LEAVE, presence.gateway),
            ("HGETALL", HERE),
        )
        return Announced(bool(asked), await self._present(flat, now_ms))

    async def retire(self, gateway: str) -> None:
        await self._log.call(("HDEL", HERE, gateway), ("HDEL", LEAVE, gateway))

    async def present(self) -> Mapping[str, GatewayPresence]:
        """Returns the gateways that are present; a gateway that died silently is forgotten after a while.

        An outage of the log makes no gateway absent: times count from the latest announcement of any gateway.
        """
        [flat] = await self._log.call(("HGETALL", HERE))
        return await self._present(flat, await self._log.now_ms())

    async def _present(self, flat: Sequence[bytes], now_ms: int) -> Mapping[str, GatewayPresence]:
        found = [one for one in map(_unpacked, flat[1::2]) if one is not None]
        latest = min(now_ms, max((one.seen_ms for one in found), default=0))
        if lost := [one.gateway for one in found if one.seen_ms < latest - _FORGET_MS]:
            await self._log.call(("HDEL", HERE, *lost), ("HDEL", LEAVE, *lost))
        return {one.gateway: one for one in found if one.seen_ms >= latest - LOST_MS}

    async def ask_to_leave(self, gateway: str) -> bool:
        present = await self.present()
        if gateway not in present:
            return False
        await self._log.call(("HSET", LEAVE, gateway, present[gateway].seen_ms))
        return True


def _unpacked(packed: bytes) -> GatewayPresence | None:
    """None: nothing that we understand. All gateways read it, and none may end by what another wrote."""
    try:
        return GatewayPresence.unpacked(packed)
    except (TypeError, ValueError):
        return None
