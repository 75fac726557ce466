"""Drops the audio of speech when its retention ends; the text stays."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.background.session_directory import Directory
from pipeline.core.clock import Clock
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.redis.server import Command
from schemas.errors import LogError
from schemas.ids import Seq, SessionId

NEVER: Final = 2**62
"""As `Looked.next_ms`: nothing will come."""
_PAGE: Final = 500
_DAY_MS: Final = 86_400_000
_LOOKED: Final = "looked"
"""A hash of the partition: session -> the last event that was looked at, and the time of the next one."""
_AT_ONCE: Final = 500
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a session was looked through."""

    seq: Seq
    """Up to this event, nothing of what came in is kept as sound."""
    next_ms: int
    """The next event is not older than that."""


_NOT_YET: Final = Looked(Seq(0), 0)


class RedisSound:
    """Sound in the hot log that is to be dropped, and how far each session was looked through.

    Every call may be repeated.
    """

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


Redact = Callable[[SessionId, Collection[Seq]], Awaitable[object]]


class Retention:
    """Drops the bytes of old `input.audio`. Any number may work at once; each event is looked at once."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        sound: RedisSound,
        redact: Redact,
        clock: Clock,
        *,
        days: float | None,
    ) -> None:
        """`redact` takes sound out of the archive. `days`: older sound is dropped; None: none is."""
        self._log = log
        self._directory = directory
        self._sound = sound
        self._redact = redact
        self._clock = clock
        self._days = days

    async def sweep(self) -> int:
        """How many pieces of sound were dropped."""
        if self._days is None:
            return 0
        before_ms = int(self._clock.now_ms() - self._days * _DAY_MS)
        dropped = 0
        for partition in range(await self._sound.partitions()):
            looked = await self._sound.looked(partition)
            known = set(await self._directory.known(partition))
            await self._sound.forget(partition, [session for session in looked if session not in known])
            for session in known:
                place = looked.get(session, _NOT_YET)
                if place.next_ms <= before_ms:
                    dropped += await self._try(session, place, before_ms)
        return dropped

    async def _try(self, session: SessionId, place: Looked, before_ms: int) -> int:
        """One session's trouble is not the others'; the next sweep tries again."""
        try:
            return await self._drop(session, place, before_ms)
        except LogError as error:
            _logger.warning("session %s: old sound could not be dropped: %s", session, error)
            return 0

    async def _drop(self, session: SessionId, place: Looked, before_ms: int) -> int:
        seqs: list[Seq] = []
        seq, next_ms = place.seq, None
        while next_ms is None and (page := await self._log.read(session, seq, limit=_PAGE)):
            for recorded in page:
                if recorded.ts_ms > before_ms:
                    next_ms = recorded.ts_ms
                    break
                if recorded.type == "input.audio":
                    seqs.append(recorded.seq)
                seq = recorded.seq
        if seqs:
            await self._sound.drop(session, seqs)
            await self._redact(session, set(seqs))  # after that: what leaves the log now is silent already
            _logger.info("session %s: %d pieces of old sound are dropped", session, len(seqs))
        await self._sound.note(session, Looked(seq, await self._end(session) if next_ms is None else next_ms))
        return len(seqs)

    async def _end(self, session: SessionId) -> int:
        """When events may come that are not there yet."""
        [head] = await self._log.heads([session])
        return self._clock.now_ms() if head is not None and head.state == "live" else NEVER
