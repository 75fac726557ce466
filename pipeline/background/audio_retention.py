"""Drops the audio of speech when its retention ends; the text stays."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.background.session_directory import DirectoryStore
from pipeline.core.clock import Clock
from pipeline.eventlog.event_log import EventLog
from schemas.errors import LogError
from schemas.ids import Seq, SessionId

NEVER: Final = 2**62
"""As `Looked.next_ms`: nothing will come."""
_PAGE: Final = 500
_DAY_MS: Final = 86_400_000
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a session was looked through."""

    seq: Seq
    """Up to this event, nothing of what came in is kept as sound."""
    next_ms: int
    """The next event is not older than that."""


_NOT_YET: Final = Looked(Seq(0), 0)


class SoundStore(Protocol):
    """Port to the audio that is to be dropped, beside the archive."""

    async def partitions(self) -> int: ...
    async def looked(self, partition: int) -> Mapping[SessionId, Looked]: ...
    async def note(self, session: SessionId, looked: Looked) -> None: ...
    async def forget(self, partition: int, sessions: Sequence[SessionId]) -> None: ...
    async def drop(self, session: SessionId, seqs: Sequence[Seq]) -> None: ...


Redact = Callable[[SessionId, Collection[Seq]], Awaitable[object]]


class Retention:
    """Drops the bytes of old `input.audio`. Any number may work at once; each event is looked at once."""

    def __init__(
        self,
        log: EventLog,
        directory: DirectoryStore,
        sound: SoundStore,
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
