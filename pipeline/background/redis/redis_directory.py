"""The list of sessions as it lies in Redis: a row per session, and an order by creation for each owner."""

from collections.abc import Sequence

from pipeline.background.session_directory import ROWS, Place, order_key
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.ids import SessionId


class RedisDirectory:
    """Reads what the projection has written."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def rows(self, sessions: Sequence[SessionId]) -> list[bytes | None]:
        keys = await self._log.keys()
        if not sessions:
            return []
        commands: list[Command] = [
            ("HGET", keys.beside(keys.partition(session), ROWS), session) for session in sessions
        ]
        return await self._log.call(*commands)

    async def known(self, partition: int) -> list[SessionId]:
        keys = await self._log.keys()
        [names] = await self._log.call(("HKEYS", keys.beside(partition, ROWS)))
        return [SessionId(name.decode()) for name in names]

    async def newest(
        self, principal: str, kinds: Sequence[str], before: Place | None, limit: int
    ) -> list[Place]:
        """At most `limit` places before this one, newest first, over all partitions."""
        keys = await self._log.keys()
        names = [keys.beside(p, order_key(kind, principal)) for p in range(keys.partitions) for kind in kinds]
        highest = "+inf" if before is None else f"({before[0]}"
        commands: list[Command] = [
            ("ZREVRANGEBYSCORE", name, highest, "-inf", "WITHSCORES", "LIMIT", 0, limit) for name in names
        ]
        if before is not None:  # those of the same millisecond are in order by id
            commands += [("ZRANGEBYSCORE", name, before[0], before[0], "WITHSCORES") for name in names]
        found = {
            (int(score), SessionId(name.decode()))
            for reply in await self._log.call(*commands)
            for name, score in zip(reply[::2], reply[1::2], strict=True)
        }
        return sorted((place for place in found if before is None or place < before), reverse=True)[:limit]
