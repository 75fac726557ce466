"""Takes sound out of archived files; the events that it belonged to stay."""

import uuid
from collections.abc import Collection

import anyio.to_thread

from pipeline.core.clock import Clock
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_store import ArchiveStore, now_s
from pipeline.eventlog.archive.segments import SegmentName, muted
from schemas.errors import ArchiveUnavailable
from schemas.ids import Seq, SessionId

_LEASE_MS = 60_000


class AudioRedaction:
    """Safe in any number of processes: whoever writes a session's files holds its lease."""

    def __init__(self, archival: Archival, store: ArchiveStore, clock: Clock) -> None:
        self._archival = archival
        self._store = store
        self._clock = clock
        self._who = f"mute.{uuid.uuid4().hex}"

    async def redact(self, session: SessionId, silent: Collection[Seq]) -> int:
        """Write the audio files of the session anew without the audio of these events; how many.

        Doing it twice changes nothing. Raises ArchiveUnavailable, also while somebody else is at it, and
        ArchiveDamaged.
        """
        now = self._clock.now_ms()
        await self._begin(session, now)
        try:
            changed = [
                await self._redact(session, name, silent, now) for name in await self._store.segments(session)
            ]
        finally:
            await self._archival.settle(session, self._who, began_ms=now)
        return sum(changed)

    async def _begin(self, session: SessionId, now_ms: int) -> float:
        """Takes the lease, or renews it, and returns when it is over (`now_s`). Raises ArchiveUnavailable."""
        until_s = now_s() + _LEASE_MS / 1_000
        status = await self._archival.begin(session, self._who, lease_ms=_LEASE_MS, now_ms=now_ms)
        if status is None or status.state == "deleted":  # the deleter may have died: the sweep erases
            raise ArchiveUnavailable("another process is working on this session's files")
        return until_s

    async def _redact(
        self, session: SessionId, name: SegmentName, silent: Collection[Seq], now_ms: int
    ) -> bool:
        """Whether the file of the segment was written anew."""
        within = {seq for seq in silent if name.first <= seq <= name.last}
        file = name.file("audio")
        if not within or file not in await self._store.files(session):
            return False
        until_s = await self._begin(session, now_ms)
        data = await self._store.read(session, file)
        rest = await anyio.to_thread.run_sync(muted, data, within)
        if rest is not None:
            await self._store.write(session, file, rest, until_s)
        return rest is not None
