"""Reading what is archived: the same events that the log had, from files that hardly ever change."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import anyio.to_thread

from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.segments import (
    SOUND_BYTES,
    Footer,
    Kind,
    SegmentName,
    chunk_span,
    cut_chunks,
    unpack_frame,
)
from pipeline.eventlog.redis.codec import decode_entry
from schemas.errors import ArchiveDamaged
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

T = TypeVar("T")
FRAMES: Final = 16
"""Decoded frames kept, of up to 1,000 events or a megabyte each (segments.py)."""
FOOTERS: Final = 128
"""Footers kept, of up to 0.7 MB each where a file has 5,000 events."""
CATALOGS: Final = 512
CATALOG_S: Final = 30.0
"""Seconds after which the files of a session's folder are listed again."""


@dataclass(frozen=True, slots=True)
class ArchivedHead:
    """The end of a session in the archive."""

    last: Seq
    sealed: bool
    chain: bytes


@dataclass
class _Catalog:
    """Cached listing of a session's folder."""

    segments: list[SegmentName]
    seen_s: float


class ArchiveReader:
    """Events from the archive, each frame decoded once in a while."""

    def __init__(self, store: ArchiveStore) -> None:
        self.store = store
        self._catalogs: OrderedDict[SessionId, _Catalog] = OrderedDict()
        self._footers: OrderedDict[tuple[SessionId, SegmentName, Kind], Footer] = OrderedDict()
        self._frames: OrderedDict[tuple[SessionId, SegmentName, int], list[Recorded]] = OrderedDict()

    async def head(self, session: SessionId) -> ArchivedHead | None:
        """As the folder is now; None: nothing of the session is archived."""
        return await self._fresh(session, self._head)

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        """At most `limit` events with seq > after, without a gap; [] where the next one is not archived."""

        async def look(session: SessionId, catalog: _Catalog) -> list[Recorded]:
            return await self._read(session, catalog, after, limit, audio=audio)

        known = self._known(session)
        if known is not None and _covering(known, Seq(after + 1)) is None:
            self._catalogs.pop(session)
        return await self._fresh(session, look, cached=True)

    def forget(self, session: SessionId) -> None:
        """The session is erased."""
        self._catalogs.pop(session, None)
        for kind in [key for key in self._footers if key[0] == session]:
            del self._footers[kind]
        for frame in [key for key in self._frames if key[0] == session]:
            del self._frames[frame]

    async def _fresh(
        self,
        session: SessionId,
        look: Callable[[SessionId, _Catalog], Awaitable[T]],
        *,
        cached: bool = False,
    ) -> T:
        """`look` at the catalog; once more at a new one where a file vanished or changed under it."""
        known = self._known(session) if cached else None
        try:
            return await look(session, known or await self._list(session))
        except (FileNotFoundError, ArchiveDamaged):
            self.forget(session)
        try:
            return await look(session, await self._list(session))
        except FileNotFoundError as error:
            raise ArchiveDamaged("a file of the archive is missing") from error

    def _known(self, session: SessionId) -> _Catalog | None:
        catalog = self._catalogs.get(session)
        if catalog is None or time.monotonic() - catalog.seen_s > CATALOG_S:
            return None
        self._catalogs.move_to_end(session)
        return catalog

    async def _list(self, session: SessionId) -> _Catalog:
        seen = time.monotonic()
        catalog = _Catalog(await self.store.segments(session), seen)
        if catalog.segments:
            self._catalogs[session] = catalog
            while len(self._catalogs) > CATALOGS:
                self._catalogs.popitem(last=False)
        else:
            self.forget(session)
        return catalog

    async def _head(self, session: SessionId, catalog: _Catalog) -> ArchivedHead | None:
        if not catalog.segments:
            return None
        name = max(catalog.segments, key=lambda segment: segment.last)
        footer = await self._footer(session, name, "events")
        return ArchivedHead(footer.last, footer.sealed, footer.chain)

    async def _footer(self, session: SessionId, name: SegmentName, kind: Kind) -> Footer:
        key = (session, name, kind)
        footer = self._footers.get(key)
        if footer is None:
            footer = self._footers[key] = await self.store.footer(session, name, kind)
        self._footers.move_to_end(key)
        while len(self._footers) > FOOTERS:
            self._footers.popitem(last=False)
        return footer

    async def _read(
        self, session: SessionId, catalog: _Catalog, after: Seq, limit: int, *, audio: bool
    ) -> list[Recorded]:
        name = _covering(catalog, Seq(after + 1))
        if name is None:
            return []
        events = await self._footer(session, name, "events")
        number = max(n for n, (first, _, _) in enumerate(events.index) if first <= after + 1)
        frame = await self._frame(session, name, events, number)
        skipped = after + 1 - events.index[number][0]
        log_events = frame[skipped : skipped + limit]
        if not (audio and events.audio):
            return log_events
        sound, last = await self._sound(session, name, log_events)
        return [replace(event, audio=sound.get(event.seq)) for event in log_events if event.seq <= last]

    async def _frame(
        self, session: SessionId, name: SegmentName, footer: Footer, number: int
    ) -> list[Recorded]:
        key = (session, name, number)
        if key not in self._frames:
            _, start, length = footer.index[number]
            packed = await self.store.read(session, name.file("events"), start, start + length)
            self._frames[key] = await anyio.to_thread.run_sync(_decode, packed)
        self._frames.move_to_end(key)
        frame = self._frames[key]
        while len(self._frames) > FRAMES:
            self._frames.popitem(last=False)
        return frame

    async def _sound(
        self, session: SessionId, name: SegmentName, log_events: list[Recorded]
    ) -> tuple[dict[Seq, bytes], Seq]:
        """The audio of these events, by one read of its file, up to the event that reaches `SOUND_BYTES`.

        Returns the last event that the page may have, too.
        """
        footer = await self._footer(session, name, "audio")
        start, end, inside = chunk_span(footer, [event.seq for event in log_events])
        last = Seq(inside[-1][0]) if end - start >= SOUND_BYTES else log_events[-1].seq
        if not inside:
            return {}, last
        return cut_chunks(await self.store.read(session, name.file("audio"), start, end), inside), last


def _covering(catalog: _Catalog, seq: Seq) -> SegmentName | None:
    """Segments that overlap (two archivers met) hold the same events: the longest one is used."""
    found = [name for name in catalog.segments if name.first <= seq <= name.last]
    return max(found, key=lambda name: name.last, default=None)


def _decode(packed: bytes) -> list[Recorded]:
    return [decode_entry((b"%d-0" % event.seq, event.fields)) for event in unpack_frame(packed)]
