"""Takes sound out of archived files; the events that it belonged to stay."""

import uuid
from collections.abc import Collection

import anyio.to_thread

from pipeline.core.clock import Clock
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.segments import muted
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
        status = await self._archival.begin(session, self._who, lease_ms=_LEASE_MS, now_ms=now)
        if status is None:
            raise ArchiveUnavailable("somebody else is working on this session's files")
        try:
            return 0 if status.state == "deleted" else await self._redact(session, silent)
        finally:
            await self._archival.settle(session, self._who, began_ms=now)

    async def _redact(self, session: SessionId, silent: Collection[Seq]) -> int:
        changed = 0
        for name in await self._store.segments(session):
            within = {seq for seq in silent if name.first <= seq <= name.last}
            file = name.file("audio")
            if not within or file not in await self._store.files(session):
                continue
            data = await self._store.read(session, file)
            rest = await anyio.to_thread.run_sync(muted, data, within)
            if rest is not None:
                await self._store.write(session, file, rest)
                changed += 1
        return changed
