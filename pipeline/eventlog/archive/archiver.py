"""Moves events into the archive: written, read back, compared, and only then may the log let go of them."""

import logging
import os
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio.to_thread

from pipeline.core.clock import Clock, SystemClock
from pipeline.eventlog.archive.archival import Archival, ArchiveStatus, ArchiveVerdict
from pipeline.eventlog.archive.archive_store import ArchiveStore, is_part, now_s
from pipeline.eventlog.archive.segments import Segment, SegmentBuilder, SegmentName, verify
from schemas.errors import ArchiveDamaged, LogError
from schemas.ids import Seq, SessionId
from schemas.settings import ArchiveSettings

PAGE: Final = 200
"""Events read from the log at a time, with their audio."""
LEASE_MS: Final = 60_000
"""For one segment: reading, writing and reading it back. A slower archiver must begin again."""
STALE_INTENT_MS: Final = 5 * 60_000
"""An intent as old as this belongs to somebody who died."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """The result of one call: what it has put into the archive."""

    session: SessionId
    first: Seq
    last: Seq
    chain: str
    """Names all events up to `last` and their audio, however they are cut into files."""
    segments: int
    whole: bool
    """The session is closed and all of it is archived: the log forgets it after a while."""


def due(status: ArchiveStatus, now_ms: int, settings: ArchiveSettings) -> Seq:
    """The last event that belongs into the archive now; what is archived already where there is no more."""
    waiting = status.seq - status.archived
    if status.state == "sealed":
        return status.seq
    if status.state != "live":
        return status.archived
    idle = now_ms - status.ts_ms >= settings.idle_archive_s * 1_000
    if idle and waiting >= settings.idle_facts:
        return status.seq
    if status.size * waiting >= settings.hot_bytes * max(1, status.seq):  # by the average event
        return status.seq
    return Seq(status.archived + waiting // settings.segment_facts * settings.segment_facts)


class Archiver:
    """Idempotent, and safe to run in any number of processes: one at a time works on a session."""

    def __init__(
        self,
        archival: Archival,
        store: ArchiveStore,
        settings: ArchiveSettings,
        clock: Clock | None = None,
        *,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._archival = archival
        self._store = store
        self._settings = settings
        self._clock = clock or SystemClock()
        self._lease_ms = lease_ms
        self._who = f"{os.getpid()}.{uuid.uuid4().hex[:12]}"

    async def archive(self, session: SessionId) -> ArchiveRecord | None:
        """Archive what is due of the session; None where nothing is, or somebody else is at it.

        Raises ArchiveUnavailable, LogUnavailable, and ArchiveDamaged where what was read back is not what
        was written. Calling it again after any error continues.
        """
        now = self._clock.now_ms()
        status = await self._begin(session, now)
        if status is None:
            return None
        if status.state == "deleted":
            await self._store.erase(session)
        upto = due(status, now, self._settings)
        record = None
        if upto > status.archived and await self._clear(session, status, now):
            record = await self._archive(session, status, upto, now)
        await self._archival.settle(session, self._who, began_ms=now)
        if record is not None and status.state == "live":
            await self._archival.trim(session, self._settings.hot_facts, self._settings.hot_bytes)
        return record

    async def sweep(self) -> list[ArchiveRecord]:
        """Archive everything that is due, and finish what somebody began and left."""
        now = self._clock.now_ms()
        done: list[ArchiveRecord] = []
        for session in await self._archival.intents(now - STALE_INTENT_MS):
            done += await self._try(session)
        async for page in self._archival.statuses():
            for session, status in page:
                if due(status, now, self._settings) > status.archived:
                    done += await self._try(session)
        return done

    async def _try(self, session: SessionId) -> list[ArchiveRecord]:
        """One session's trouble is not the others'; the next sweep tries again."""
        try:
            record = await self.archive(session)
        except LogError as error:
            _logger.warning("session %s could not be archived: %s", session, error)
            return []
        return [] if record is None else [record]

    async def _begin(self, session: SessionId, now_ms: int) -> ArchiveStatus | None:
        return await self._archival.begin(session, self._who, lease_ms=self._lease_ms, now_ms=now_ms)

    async def _clear(self, session: SessionId, status: ArchiveStatus, now_ms: int) -> bool:
        """Removes files of an archiver that died before it told the log of them.

        False: the lease ran out meanwhile, and the log may know them now from another archiver.
        """
        beginning = await self._archival.entries(session, status.archived, 1)
        leftovers = []
        for file in await self._store.files(session):
            name = SegmentName.parse(file)
            if is_part(file):
                leftovers.append(file)
            elif name is not None and name.last > status.archived:
                leftovers += [name.file("events"), name.file("audio")]
        until_s = now_s() + self._lease_ms / 2_000
        if leftovers:  # the lease is renewed after the listing, and a removal that comes late is none
            current = await self._begin(session, now_ms)
            if current is None or current.archived != status.archived:
                return False
        if [event.seq for event in beginning] != [status.archived + 1]:
            raise ArchiveDamaged(f"events after {status.archived} are neither archived nor in the log")
        return await self._store.remove(session, *leftovers, until_s=until_s)

    async def _archive(
        self, session: SessionId, status: ArchiveStatus, upto: Seq, now_ms: int
    ) -> ArchiveRecord | None:
        archived, chain, count = status.archived, status.chain, 0
        while archived < upto:
            segment = await self._build(session, archived, chain, upto)
            await self._write(session, segment)
            verdict = await self._archival.archived(
                session,
                self._who,
                first=segment.footer.first,
                last=segment.footer.last,
                chain=segment.footer.chain,
                hot_s=self._settings.hot_s,
            )
            if not await self._accepted(session, segment, verdict):
                return None
            archived, chain, count = segment.footer.last, segment.footer.chain, count + 1
            if archived < upto and await self._begin(session, now_ms) is None:  # the lease, once more
                break
        first = Seq(status.archived + 1)
        whole = status.state == "sealed" and archived == status.seq
        return ArchiveRecord(session, first, archived, chain.hex(), count, whole)

    async def _build(self, session: SessionId, after: Seq, chain: bytes, upto: Seq) -> Segment:
        """The next segment: so many events, or fewer with much audio."""
        builder = SegmentBuilder(chain)
        last = min(upto, Seq(after + self._settings.segment_facts))
        while after < last and builder.size < self._settings.segment_bytes:
            page = await self._archival.entries(session, after, min(PAGE, last - after))
            if not page:
                raise ArchiveDamaged(f"event {after + 1} is not in the log any more")
            await anyio.to_thread.run_sync(builder.extend, page)
            after = builder.last
        return await anyio.to_thread.run_sync(builder.finish)

    async def _write(self, session: SessionId, segment: Segment) -> None:
        """Audio first: whoever sees an events file finds its audio. Read back before anybody is told."""
        files = [(segment.name.file("audio"), segment.audio), (segment.name.file("events"), segment.events)]
        for file, data in files:
            if not data:
                continue
            await self._store.write(session, file, data)
            try:
                found = await self._store.read(session, file)
            except FileNotFoundError as error:
                raise ArchiveDamaged(f"the archive took {file} and has it not") from error
            await anyio.to_thread.run_sync(partial(_compare, found, data))

    async def _accepted(self, session: SessionId, segment: Segment, verdict: ArchiveVerdict) -> bool:
        match verdict:
            case ArchiveVerdict.OK | ArchiveVerdict.DUP:
                return True
            case ArchiveVerdict.GONE:
                await self._store.erase(session)
            case ArchiveVerdict.AHEAD:
                # Never told to the log under this name: nobody misses it.
                await self._store.remove(session, segment.name.file("events"), segment.name.file("audio"))
            case ArchiveVerdict.CONFLICT:
                # Our lease ran out. Its new holder may be telling the log of this very file, or clears it.
                _logger.warning("session %s: another archiver was faster with %s", session, segment.name)
            case _:
                _logger.error("session %s: the log says %s of %s", session, verdict, segment.name)
        return False


def _compare(found: bytes, written: bytes) -> None:
    verify(found)
    if found != written:
        raise ArchiveDamaged("the archive gave back another file than was written")
