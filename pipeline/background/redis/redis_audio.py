"""Sound in the hot log that is to be dropped, and how far each session was looked through, on Redis."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.background.audio_retention import Looked
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.ids import Seq, SessionId

_LOOKED: Final = "looked"
"""A hash of the partition: session -> the last event that was looked at, and the time of the next one."""
_AT_ONCE: Final = 500


class RedisSound:
    """Every call may be repeated."""

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def partitions(self) -> int:
        return (await self._log.keys()).partitions

    async def looked(self, partition: int) -> Mapping[SessionId, Looked]:
        keys = await self._log.keys()
        [flat] = await self._log.call(("HGETALL", keys.beside(partition, _LOOKED)))
        return {
            SessionId(name.decode()): _looked(value)
            for name, value in zip(flat[::2], flat[1::2], strict=True)
        }

    async def note(self, session: SessionId, looked: Looked) -> None:
        keys = await self._log.keys()
        name = keys.beside(keys.partition(session), _LOOKED)
        await self._log.call(("HSET", name, session, f"{looked.seq} {looked.next_ms}"))

    async def forget(self, partition: int, sessions: Sequence[SessionId]) -> None:
        if sessions:
            keys = await self._log.keys()
            await self._log.call(("HDEL", keys.beside(partition, _LOOKED), *sessions))

    async def drop(self, session: SessionId, seqs: Sequence[Seq]) -> None:
        """The audio of these events; what is not there need not be dropped."""
        keys = await self._log.keys()
        name = keys.audio(session)
        commands: list[Command] = [
            ("XDEL", name, *(f"{seq}-0" for seq in seqs[start : start + _AT_ONCE]))
            for start in range(0, len(seqs), _AT_ONCE)
        ]
        if commands:
            await self._log.call(*commands)


def _looked(value: bytes) -> Looked:
    seq, next_ms = value.split()
    return Looked(Seq(int(seq)), int(next_ms))
