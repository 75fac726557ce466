"""Pages of a durable stream: messages between two offsets, first what there is, then as it is appended."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.tailer import Tailer
from schemas.errors import LogLost
from schemas.errors.stream_errors import StreamGone
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

PAGE_BYTES: Final = 1 << 20
"""A page ends with the append that reaches so many; more: fewer requests, and more memory for each."""
_FIRST: Final = 16
_MOST: Final = 256
"""Events of one read: each may carry AUDIO_MAX bytes, so that there are few until they prove to be small."""


@dataclass(frozen=True, slots=True)
class StreamPage:
    """`messages` of the stream, in order, and the offset behind them."""

    messages: Sequence[bytes]
    next: Seq
    up_to_date: bool
    """Nothing more was there."""
    closed: bool
    """Nothing more will come."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """End of a stream as it is now."""

    tail: Seq
    head: Seq
    """Last event of its session."""
    closed: bool


class Messages(Protocol):
    """Makes messages of a session's events, one after the other."""

    def add(self, recorded: Recorded) -> bytes | None:
        """Message that is complete with this event; None: none is."""
        ...

    def ends(self, recorded: Recorded) -> bool:
        """Whether no message follows this event."""
        ...


class AppendedBytes:
    """Messages of a stream: what was appended at once."""

    def __init__(self) -> None:
        self._parts = b""

    def add(self, recorded: Recorded) -> bytes | None:
        if recorded.type != "stream.appended":
            return None
        whole, self._parts = self._parts + (recorded.audio or b""), b""
        if recorded.data.get("more"):
            self._parts = whole
            return None
        return whole

    def ends(self, recorded: Recorded) -> bool:
        return recorded.type == "stream.closed"


class SessionEvents:
    """Messages of a session: its events, as JSON."""

    def __init__(self, written: Callable[[Recorded], bytes]) -> None:
        self._written = written

    def add(self, recorded: Recorded) -> bytes | None:
        return self._written(recorded)

    def ends(self, recorded: Recorded) -> bool:
        return recorded.type == "session.ended"


class StreamPages:
    """Reads of one stream by one client."""

    def __init__(
        self, log: EventLog, tailer: Tailer, session: SessionId, make: Callable[[], Messages], *, audio: bool
    ) -> None:
        """`audio`: the messages lie where sound lies."""
        self._log = log
        self._tailer = tailer
        self._session = session
        self._make = make
        self._audio = audio

    async def page(self, after: Seq, end: StreamEnd) -> StreamPage:
        """Messages after `after`, as many as make a page. Raises StreamGone where they are not kept."""
        made, found, size = self._make(), list[bytes](), 0
        at = reached = after
        limit = _FIRST
        while at < end.tail and (size < PAGE_BYTES or reached < at):
            for recorded in await self._read(at, min(limit, end.tail - at)):
                at = recorded.seq
                message = made.add(recorded)
                if message is not None:
                    found.append(message)
                    size += len(message)
                    reached = at
                elif not recorded.data.get("more"):
                    reached = at
                if size >= PAGE_BYTES:
                    break
            limit = min(2 * limit, _MOST)
        reached = max(reached, after)
        return StreamPage(found, reached, reached >= end.tail, end.closed and reached >= end.tail)

    async def _read(self, after: Seq, limit: int) -> Sequence[Recorded]:
        try:
            events = await self._log.read(self._session, after, limit=limit, audio=self._audio)
        except LogLost:
            events = []
        if not events or events[0].seq != after + 1:
            raise StreamGone("messages after this offset are not kept any more", field="offset")
        return events

    async def follow(
        self,
        after: Seq,
        end: StreamEnd,
        *,
        idle_s: float,
        recheck: Callable[[Sequence[Recorded]], Awaitable[None]],
    ) -> AsyncGenerator[StreamPage | None, None]:
        """Pages from `after` on, the first at once; then as it is appended, until it is closed.

        None: nothing came for `idle_s`. `recheck` is called before anything that came is told, and raises
        where the client may no longer read. Raises as `page`, and SessionGone once the stream is deleted.
        """
        page = await self.page(after, end)
        yield page
        while not page.up_to_date:
            page = await self.page(page.next, end)
            yield page
        made, reached = self._make(), page.next
        following = self._tailer.follow(self._session, end.head, audio=self._audio, idle_s=idle_s)
        if page.closed:
            return
        async with following as batches, aclosing(batches):
            async for batch in batches:
                await recheck(batch)
                if not batch:
                    yield None
                    continue
                found, closed = list[bytes](), False
                for recorded in batch:
                    if (message := made.add(recorded)) is not None:
                        found.append(message)
                        reached = recorded.seq
                    closed = closed or made.ends(recorded)
                if found or closed:
                    yield StreamPage(found, reached, up_to_date=True, closed=closed)
                if closed:
                    return
