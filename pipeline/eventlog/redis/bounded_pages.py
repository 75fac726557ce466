"""Pages of events that are bounded by bytes and time: a read may ask for 500 events, each of any size."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from weakref import WeakValueDictionary

from pipeline.eventlog.redis.codec import AUDIO_MAX, decode_entry
from schemas.events.recorded import Recorded
from schemas.ids import SessionId

PAGE_BYTES: Final = 64 << 10
"""A page ends with the event that reaches so many bytes of data: as objects they take up to fifty times as
much, nobody else of the process is served while they are made, and a client that reads slowly holds them.
With a smaller value usual sessions, of which 500 events have some more, are read in many more pages."""
_PAGE_S: Final = 0.02
"""A page ends also with the event at which so much processor time is used up: in a megabyte of data there may
be a million empty lists."""
SOUND_BYTES: Final = 2 << 20
"""A page with sound ends also with the event that reaches so many bytes of it; each may have `AUDIO_MAX`."""
_KNOWN: Final = 4_096
_WAIT_S: Final = 1.0
_FEW: Final = 4


class BoundedPages:
    """Decodes pages, and remembers of which sessions fewer events are to be asked for."""

    def __init__(self) -> None:
        self._counts: OrderedDict[SessionId, int] = OrderedDict()
        self._locks: WeakValueDictionary[SessionId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, session: SessionId, limit: int) -> AsyncGenerator[int, None]:
        """Gives the number of events to ask for, where `limit` are wanted: one reader of a session goes after
        another, as only then is it known.

        The server makes the replies to all of its readers before it sends one. A reader waits for a second at
        most, and then asks for a few: the log may be away, or takes long for the reply to the first one.
        """
        lock, held = self._locks.setdefault(session, asyncio.Lock()), False
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S if lock.locked() else None):
                held = await lock.acquire()
        try:
            yield self.count(session, limit if held else min(limit, _FEW))
        finally:
            if held:
                lock.release()

    def count(self, session: SessionId, limit: int) -> int:
        """So many events are to be asked for, where `limit` are wanted."""
        return min(limit, self._counts.get(session, limit))

    def decoded(self, session: SessionId, entries: Sequence[Any], *, asked: int) -> list[Recorded]:
        """The first of these entries, at least one if there is any, and up to `PAGE_BYTES`."""
        events: list[Recorded] = []
        size, began_s = 0, time.thread_time()
        for entry in entries:
            events.append(decode_entry(entry))
            size += sum(map(len, entry[1]))
            if size >= PAGE_BYTES or time.thread_time() - began_s >= _PAGE_S:
                break
        self._learn(session, len(events), whole=len(events) == len(entries), asked=asked)
        return events

    def _learn(self, session: SessionId, count: int, *, whole: bool, asked: int) -> None:
        """Next time about what fitted; where all of it did, twice as much as was asked for."""
        if whole and session not in self._counts:
            return
        self._counts[session] = 2 * asked if whole else count + 1
        self._counts.move_to_end(session)
        if whole and asked >= _ENOUGH:
            del self._counts[session]
        while len(self._counts) > _KNOWN:
            self._counts.popitem(last=False)


def heard_at_once(events: Sequence[Recorded]) -> Sequence[Recorded]:
    """The first of these events, whose sound is no more than a page may have, as far as they say."""
    size = 0
    for number, event in enumerate(events, 1):
        size += min(event.data.get("bytes") or 0, AUDIO_MAX)
        if size >= SOUND_BYTES:
            return events[:number]
    return events


_ENOUGH: Final = 256
"""Events from which on a session's pages are asked for as those of others."""
