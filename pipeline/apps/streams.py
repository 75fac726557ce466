"""Durable streams that clients create: sessions of kind `stream`, and a log for each name (ADR 0222)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final, Literal
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from pipeline.admission.allowance import Allowance
from pipeline.apps.stream_bodies import message_of, split_at
from pipeline.core.clock import Clock
from pipeline.delivery.stream_pages import AppendedBytes, StreamEnd, StreamPages
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.recorder import Recorder, RequestContext
from pipeline.eventlog.redis.codec import AUDIO_MAX
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.session_views import Views
from pipeline.session_state.stream_state import NewAppend, StreamAppend, StreamName, StreamState, media_type
from pipeline.transfer.session_copy import write_copy
from schemas.errors import Conflict, LogError, RhapsodeError, SessionGone, SessionNotFound
from schemas.errors.access_errors import LimitReached, StoredQuota
from schemas.errors.stream_errors import StreamConflict, StreamGone, StreamInvalid, StreamNotFound
from schemas.events import (
    Event,
    SessionStarted,
    StreamAppended,
    StreamClosed,
    StreamCreated,
    StreamForked,
    StreamNamed,
    StreamRead,
)
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import NO_TURN, Seq, SessionId, derived_session_id, new_session_id
from schemas.settings import SessionSettings

_EPOCH_MS: Final = 1_767_225_600_000
"""2026-01-01: the creation time in the id of every name's log, so that it follows from the name alone."""
_VIEWS: Final = 4_096
START: Final = Seq(2)
"""Offset of an empty stream: `session.started` and `stream.created` come before its first byte."""


@dataclass(frozen=True, slots=True)
class FoundStream:
    """A stream as it was found; `state` is read and not kept."""

    session: SessionId
    state: StreamState

    @property
    def config(self) -> StreamCreated:
        assert self.state.created is not None
        return self.state.created

    @property
    def end(self) -> StreamEnd:
        return StreamEnd(self.state.tail, self.state.head, self.state.closed)


@dataclass(frozen=True, slots=True)
class NewStream:
    """A stream as its client asks for it: empty, with a first append, or as a fork."""

    content_type: str
    """Empty: not said."""
    body: bytes = b""
    closed: bool = False
    ttl_s: int | None = None
    expires_at: str | None = None
    forked_from: str = ""
    fork_offset: int | None = None
    fork_sub_offset: int = 0

    def config(self, source: StreamCreated | None) -> StreamCreated:
        """`source`: of the stream that it is forked from. Raises StreamConflict for another content type."""
        if source is None:
            lifetime = self.ttl_s, self.expires_at
        elif self.content_type and media_type(self.content_type) != media_type(source.content_type):
            raise StreamConflict(f"the source is {source.content_type}", field="Content-Type")
        elif self.ttl_s is None and self.expires_at is None:
            lifetime = source.ttl_s, source.expires_at
        else:
            lifetime = self.ttl_s, self.expires_at
        kind = source.content_type if source is not None else self.content_type or OCTETS
        return StreamCreated(
            content_type=kind,
            ttl_s=lifetime[0],
            expires_at=lifetime[1],
            forked_from=self.forked_from,
            fork_offset=self.fork_offset,
            fork_sub_offset=self.fork_sub_offset,
        )

    def matches(self, there: FoundStream) -> bool:
        """Whether a stream that is there is the one that is asked for."""
        config = there.config
        fork = (self.forked_from, self.fork_offset, self.fork_sub_offset)
        lifetime = (self.ttl_s, self.expires_at)
        return (
            fork == (config.forked_from, config.fork_offset, config.fork_sub_offset)
            and (self.content_type or (config.content_type if self.forked_from else OCTETS))
            == config.content_type
            and (
                (self.forked_from and lifetime == (None, None))
                or lifetime == (config.ttl_s, config.expires_at)
            )
            and self.closed == there.state.closed
        )


OCTETS: Final = "application/octet-stream"


class Streams:
    """Operations on streams that a face may ask for. A principal's names are its own."""

    def __init__(
        self, log: EventLog, recorder: Recorder, tailer: Tailer, allowance: Allowance, clock: Clock
    ) -> None:
        self._log = log
        self._recorder = recorder
        self._tailer = tailer
        self._allowance = allowance
        self._clock = clock
        self._names = Views(log, StreamName, size=_VIEWS)
        self._views = Views(log, StreamState, size=_VIEWS)
        self._locks: WeakValueDictionary[SessionId, anyio.Lock] = WeakValueDictionary()

    async def find(self, principal: str, name: str) -> FoundStream:
        """Raises StreamNotFound, or StreamGone where the name is not free for want of its forks' end."""
        named = await self._name(name_log(principal, name))
        if (stream := await self._live(named.session)) is not None:
            return stream
        if await self._has_forks(named):
            raise StreamGone("the stream was deleted, and has forks")
        raise StreamNotFound("there is no such stream")

    async def _name(self, name: SessionId) -> StreamName:
        try:
            named, _ = await self._names.get(name)
        except (SessionNotFound, SessionGone):
            return StreamName()
        return named

    async def _live(self, session: SessionId | None) -> FoundStream | None:
        """The stream, unless it is gone; one that has expired is erased here."""
        if session is None:
            return None
        try:
            state, _ = await self._views.get(session)
        except (SessionNotFound, SessionGone):
            return None
        if state.created is None:
            return None
        ends_ms = state.ends_ms()
        if ends_ms is not None and ends_ms <= self._clock.now_ms():
            await self._recorder.erase(session)
            return None
        return FoundStream(session, state)

    async def _has_forks(self, named: StreamName) -> bool:
        """Whether a fork of the stream is there, or a fork of one of its forks."""
        looked, forks = set[SessionId](), list(named.forks)
        while forks:
            names = {session: name for name, session in forks if session not in looked}
            looked |= names.keys()
            for session, head in zip(names, await self._log.heads(list(names)), strict=True):
                if head is not None and head.state != "deleted" and await self._live(session) is not None:
                    return True
            heads = await self._log.heads(list(names.values()))
            forks = []
            for (session, name), head in zip(names.items(), heads, strict=True):
                if head is not None and head.seq > 1:  # its first event names it
                    fork = await self._name(name)
                    forks += fork.forks if fork.session == session else []
        return False

    async def create(self, principal: str, name: str, new: NewStream) -> tuple[FoundStream, bool]:
        """The stream, and whether it was not there before.

        Raises StreamConflict where another one has the name, StreamNotFound where there is no source,
        StreamInvalid, or what `Allowance.session` raises.
        """
        key = name_log(principal, name)
        while True:
            named = await self._name(key)
            seen = named.head
            if (there := await self._live(named.session)) is not None:
                if not new.matches(there):
                    raise StreamConflict("a stream of this name is there, and is another one")
                return there, False
            if await self._has_forks(named):
                raise StreamConflict("the stream was deleted, and its name is not free while it has forks")
            session = new_session_id(self._clock.now_ms())
            try:
                await self._write(principal, name, session, new)
                mode: Literal["create", "append"] = "append" if seen else "create"
                await self._recorder.post(key, StreamNamed(session=session), mode=mode, expected=seen)
            except BaseException as error:
                with anyio.CancelScope(shield=True), suppress(RhapsodeError):
                    await self._recorder.erase(session)
                if isinstance(error, Conflict):
                    continue  # another gateway was faster
                raise
            stream = await self._live(session)
            if stream is None:
                raise StreamNotFound("the stream was deleted, or has expired, meanwhile")
            return stream, True

    async def _write(self, principal: str, name: str, session: SessionId, new: NewStream) -> None:
        """The events of a stream that no name stands for yet."""
        source = await self._source(principal, new.forked_from) if new.forked_from else None
        config = new.config(None if source is None else source.config)
        body = await message_of(new.body, config.content_type)
        await self._allowance.session(principal)
        started = SessionStarted(settings=SessionSettings(), kind="stream", title=name, principal=principal)
        follows = [*_appended(NewAppend(body, config.content_type)), *([_CLOSED] if new.closed else [])]
        if source is None:
            events = [RequestContext(NO_TURN, started), RequestContext(NO_TURN, config), *follows]
            await self._recorder.post(session, *events, mode="create", by=principal, expected=0)
            return
        charge = partial(self._allowance.written, principal)
        async with aclosing(
            _forked(self._log, self._clock.now_ms(), source, started, config, follows)
        ) as copied:
            await write_copy(self._log, session, copied, charge)
        forked = StreamForked(name=name_log(principal, name), session=session)
        await self._attach(principal, new.forked_from, source.session, forked)

    async def _source(self, principal: str, name: str) -> FoundStream:
        try:
            return await self.find(principal, name)
        except StreamGone as error:
            raise StreamConflict("the source was deleted", field="Stream-Forked-From") from error

    async def _attach(self, principal: str, source: str, session: SessionId, forked: StreamForked) -> None:
        """Record the fork beside its source's name."""
        key = name_log(principal, source)
        while True:
            named = await self._name(key)
            if named.session != session:
                raise StreamConflict("the source was deleted", field="Stream-Forked-From")
            with suppress(Conflict):
                await self._recorder.post(key, forked, expected=named.head)
                return

    async def append(self, principal: str, session: SessionId, new: NewAppend) -> StreamAppend:
        """The append's place, now or as it was recorded before.

        Appends to one stream follow each other: each names the last event that it was decided after, and the
        log takes it only there. Raises StreamNotFound, or as `StreamState.decide`.
        """
        lock = self._locks.setdefault(session, anyio.Lock())
        async with lock:
            while True:
                stream = await self._live(session)
                if stream is None:
                    raise StreamNotFound("there is no such stream")
                if (found := stream.state.decide(new)) is not None:
                    return found
                end = stream.end  # a reader may bring the state further while the body is read
                body = await message_of(new.body, stream.config.content_type, append=True)
                if (found := await self._post(principal, session, end, replace(new, body=body))) is not None:
                    return found

    async def _post(
        self, principal: str, session: SessionId, end: StreamEnd, new: NewAppend
    ) -> StreamAppend | None:
        """None: another event has come before it."""
        pieces = _appended(new)
        events = [*pieces, *([_context(StreamClosed(**_producer(new)))] if new.closes else [])]
        try:
            outcome = await self._recorder.post(session, *events, by=principal, expected=end.head)
        except Conflict:
            return None
        except (SessionGone, SessionNotFound) as error:
            raise StreamNotFound("there is no such stream") from error
        self._views.wrote(session, outcome.last)
        tail = Seq(outcome.first + len(pieces) - 1) if pieces else end.tail
        return StreamAppend(tail, new.closes, number=0 if new.batch is None else new.batch.number)

    async def delete(self, principal: str, name: str) -> None:
        """Erase the stream. Raises as `find`."""
        stream = await self.find(principal, name)
        await self._recorder.erase(stream.session)
        self._views.forget(stream.session)

    async def touch(self, principal: str, stream: FoundStream) -> None:
        """A reader has come. Where that cannot be recorded, the stream may expire earlier."""
        if stream.state.untouched(self._clock.now_ms()):
            with suppress(LogError, LimitReached, StoredQuota):
                await self._recorder.post(stream.session, StreamRead(), by=principal)

    def pages(self, session: SessionId) -> StreamPages:
        """Reads of a stream."""
        return StreamPages(self._log, self._tailer, session, AppendedBytes, audio=True)


async def _forked(
    log: EventLog,
    now: int,
    source: FoundStream,
    started: SessionStarted,
    config: StreamCreated,
    follows: Sequence[RequestContext],
) -> AsyncGenerator[NewEvent, None]:
    """Events of a fork: those of its source under the same numbers, without what is not its own."""
    end = source.end
    upto = end.tail if config.fork_offset is None else Seq(max(config.fork_offset, START))
    if upto > end.tail:
        raise StreamInvalid("the source ends before this offset", field="Stream-Fork-Offset")
    yield NewEvent(started, now)
    yield NewEvent(config, now)
    at, within = START, False
    while at < upto:
        for recorded in await _read(log, source, at, limit=min(16, upto - at)):
            at, within = recorded.seq, recorded.data.get("more", False)
            yield NewEvent(_own(recorded), now, audio=recorded.audio or b"")
    if within:  # what is appended to the fork would be part of it: forks of forks had appends without end
        raise StreamInvalid("the offset lies within an append", field="Stream-Fork-Offset")
    if config.fork_sub_offset:
        behind = await _append_behind(log, source, upto)
        kept = await anyio.to_thread.run_sync(split_at, behind, config.fork_sub_offset, config.content_type)
        follows = [*_appended(NewAppend(kept, config.content_type)), *follows]
    for each in follows:
        yield NewEvent(each.event, now, audio=each.audio)


async def _read(log: EventLog, source: FoundStream, after: Seq, *, limit: int) -> Sequence[Recorded]:
    """Events of a fork's source that are there as far as it was seen. Raises StreamConflict."""
    if page := await log.read(source.session, after, limit=limit, audio=True):
        return page
    raise StreamConflict("the source was deleted", field="Stream-Forked-From")


async def _append_behind(log: EventLog, source: FoundStream, after: Seq) -> bytes:
    """The append behind an offset. Raises StreamInvalid where none is."""
    made, at = AppendedBytes(), after
    while at < source.end.tail:
        [recorded] = await _read(log, source, at, limit=1)
        at = recorded.seq
        if (message := made.add(recorded)) is not None:
            return message
    raise StreamInvalid("nothing is behind the offset", field="Stream-Fork-Sub-Offset")


def name_log(principal: str, name: str) -> SessionId:
    """The log that says which stream has this name; it holds neither the name nor the principal."""
    return derived_session_id(_EPOCH_MS, "stream", principal, name)


def _context(event: Event, audio: bytes = b"") -> RequestContext:
    return RequestContext(NO_TURN, event, audio)


_CLOSED: Final = _context(StreamClosed())


def _producer(new: NewAppend) -> dict[str, Any]:
    """Fields of an event that say by which producer it is."""
    return {} if new.batch is None else asdict(new.batch)


def _appended(new: NewAppend) -> list[RequestContext]:
    """Events of an append, each as large as the log takes one; the last one says by which producer it is."""
    pieces = [new.body[at : at + AUDIO_MAX] for at in range(0, len(new.body), AUDIO_MAX)]
    events = [_context(StreamAppended(bytes=len(piece), more=True), piece) for piece in pieces[:-1]]
    for piece in pieces[-1:]:
        last = StreamAppended(bytes=len(piece), writer_seq=new.writer_seq, **_producer(new))
        events.append(_context(last, piece))
    return events


def _own(recorded: Recorded) -> Event:
    """A source's event as its fork has it: producers, closing and readers stay the source's."""
    if recorded.type == "stream.appended":
        return StreamAppended(bytes=recorded.data["bytes"], more=recorded.data.get("more", False))
    return StreamRead()
