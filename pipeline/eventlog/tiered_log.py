"""A log whose past may be in the archive: reading goes on there, and nobody notices."""

import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.event_log import PAGE, Batch, Head, Lease, Outcome, PushSubscription, Tail, Verdict
from schemas.errors import ArchiveDamaged, ArchiveUnavailable, LogLost
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, created_ms, generation
from schemas.native.native_messages import LogState

YOUNG_MS: Final = 60 * 60_000
"""A session that is younger cannot have left the log yet."""
ERASING_MS: Final = 60_000


class TieredLog:
    """An EventLog: the hot log, and behind it the archive for what has left it."""

    def __init__(self, archival: Archival, archive: ArchiveReader) -> None:
        self.hot = archival.log
        self.archival = archival
        self.archive = archive
        self._who = uuid.uuid4().hex

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = PAGE, audio: bool = False
    ) -> list[Recorded]:
        """As EventLog says; a page may be shorter than asked for in the middle, too."""
        for _ in range(2):
            events = await self.hot.read(session, after, limit=limit, audio=audio)
            if events and events[0].seq == after + 1:
                return await self._with_sound(session, events) if audio else events
            if not events and await self._ends(session, after):
                return []
            if archived := await self.archive.read(session, after, limit=limit, audio=audio):
                return archived
        [head] = await self.hot.heads([session])
        if head is None or head.state == "deleted":
            return []
        events = await self.hot.read(session, after, limit=limit, audio=audio)
        if events and events[0].seq == after + 1:  # the session was created while the archive was asked
            return events
        raise LogLost(f"events after {after} of this session are neither in the log nor in the archive")

    async def _ends(self, session: SessionId, after: Seq) -> bool:
        """Does the log itself say that nothing follows?"""
        [head] = await self.hot.heads([session])
        return head is not None and (head.state == "deleted" or head.seq <= after)

    async def _with_sound(self, session: SessionId, events: list[Recorded]) -> list[Recorded]:
        """Audio may leave the log a moment before its events: another key, evicted or trimmed on its own."""
        silent = [event for event in events if event.audio is None and event.data.get("bytes")]
        if not silent:
            return events
        sound: dict[Seq, bytes | None] = {}
        after = Seq(silent[0].seq - 1)
        while after < silent[-1].seq:
            page = await self.archive.read(session, after, limit=silent[-1].seq - after, audio=True)
            if not page:
                break
            sound |= {event.seq: event.audio for event in page}
            after = page[-1].seq
        return [replace(event, audio=event.audio or sound.get(event.seq)) for event in events]

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        heads = await self.hot.heads(sessions)
        return [
            await self._archived(session) if head is None else head
            for session, head in zip(sessions, heads, strict=True)
        ]

    async def tail(self, session: SessionId, after: Seq) -> Tail:
        tail = await self.hot.tail(session, after)
        return tail if tail.head is not None else Tail(await self._archived(session), ())

    async def acquire_tail(self, session: SessionId, owner: str, ttl_ms: int, after: Seq) -> Tail | None:
        return await self.hot.acquire_tail(session, owner, ttl_ms, after)

    async def _archived(self, session: SessionId) -> Head | None:
        """The head of a session that only the archive knows. Its owner and epoch are forgotten."""
        if (found := await self.archive.head(session)) is None:
            return None
        return Head(found.last, 0, generation(created_ms(session)), "archived")

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        young = time.time_ns() // 1_000_000 - YOUNG_MS
        early = [
            await self._judged(self._taken, batch)
            if batch.mode == "create" and created_ms(batch.session) < young
            else None
            for batch in batches
        ]
        wanted = [batch for batch, no in zip(batches, early, strict=True) if no is None]
        said = iter(await self.hot.append(wanted) if wanted else [])
        return [
            no or await self._seen_whole(batch, next(said)) for batch, no in zip(batches, early, strict=True)
        ]

    async def _judged(
        self, look: Callable[[Batch], Awaitable[Outcome | None]], batch: Batch
    ) -> Outcome | None:
        """Returns the result of `look`; an archive that cannot be read fails this session alone."""
        try:
            return await look(batch)
        except ArchiveDamaged:
            return Outcome(Verdict.ARCHIVE_DAMAGED, Seq(0), Seq(0))
        except ArchiveUnavailable:
            return Outcome(Verdict.ARCHIVE_AWAY, Seq(0), Seq(0))

    async def _taken(self, batch: Batch) -> Outcome | None:
        """An id that is derived from something, not new, may be that of a session which has left the log."""
        [hot] = await self.hot.heads([batch.session])
        if hot is None and (archived := await self.archive.head(batch.session)) is not None:
            return Outcome(Verdict.CONFLICT, archived.last, archived.last)
        return None

    async def _seen_whole(self, batch: Batch, outcome: Outcome) -> Outcome:
        """The log knows no session that the archive knows: closed long ago."""
        if outcome.verdict is Verdict.NO_SESSION:
            return await self._judged(self._closed, batch) or outcome
        return outcome

    async def _closed(self, batch: Batch) -> Outcome | None:
        archived = await self.archive.head(batch.session)
        return None if archived is None else Outcome(Verdict.SEALED, archived.last, archived.last)

    @property
    def failovers(self) -> int:
        return self.hot.failovers

    @property
    def state(self) -> LogState:
        return self.hot.state

    async def attend(self) -> None:
        await self.hot.attend()

    def shard_of(self, session: SessionId) -> str:
        return self.hot.shard_of(session)

    def push_subscription(self) -> PushSubscription:
        return self.hot.push_subscription()

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        return await self.hot.acquire(session, owner, ttl_ms)

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        return await self.hot.renew(leases, ttl_ms)

    async def release(self, session: SessionId, owner: str) -> None:
        await self.hot.release(session, owner)

    async def has_work(self) -> bool:
        return await self.hot.has_work()

    async def abandoned(self) -> list[SessionId]:
        return await self.hot.abandoned()

    async def delete(self, session: SessionId) -> None:
        """Events, audio and archive. If the archive is away, its next sweep erases the rest.

        So does one where the session was being archived: who writes files then may die before it learns.
        """
        now = time.time_ns() // 1_000_000
        begun = await self.archival.begin(session, self._who, lease_ms=ERASING_MS, now_ms=now)
        [head] = await self.heads([session])
        await self.hot.delete(session)
        if head is not None and head.state == "archived":
            await self.archival.mark_deleted(session, head.seq, head.generation)
        self.archive.forget(session)
        await self.archive.store.erase(session)
        if begun is not None:
            await self.archival.settle(session, self._who, began_ms=now)

    async def ping(self) -> None:
        await self.hot.ping()

    async def aclose(self) -> None:
        await self.hot.aclose()
