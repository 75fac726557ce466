"""The answers' sound on its way to a caller: the log's own Opus packets, one every 20 ms."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import anyio
import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from pipeline.audio.opus import PACKET_MS, unframe
from pipeline.eventlog.event_log import EventLog
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId

_SAMPLES: Final = 48 * PACKET_MS
_BASE: Final = Fraction(1, 48_000)
_SILENCE: Final = bytes((0xF8, 0xFF, 0xFE))
"""20 ms of silence in Opus (CELT, 48 kHz, mono)."""
_TRAIL: Final = 10
"""Packets of silence after sound: they push the last of it out of a receiver's jitter buffer."""
_IDLE_S: Final = 0.2
"""Between two packets while nothing sounds: a client that gets nothing for a second has lost its gateway."""
_BEHIND_S: Final = 0.2
"""A sender that is later than this does not hurry to catch up."""
_HELD: Final = 1024 * 1024
"""Bytes of sound that wait in memory; of what comes later only its place in the log is kept."""
_READ: Final = 4
"""Events that are read at once where such sound is."""
_TOLD: Final = 256
_NONE: Final = Seq(0)
POSITION_MS: Final = 200
"""How often a caller is told how far its sound has come."""
Tell = Callable[..., Awaitable[None]]


@dataclass(slots=True)
class _Piece:
    """The sound of one `audio.chunk`; without `audio` of all of its turn's up to `until`."""

    seq: Seq
    turn: TurnId
    at_ms: int
    """Position in the answer."""
    about: dict[str, Any]
    """The response and the item."""
    audio: bytes | None
    skip: int = 0
    """Packets at its beginning that were heard before."""
    until: Seq = _NONE


@dataclass(slots=True)
class _End:
    """No more of the response comes."""

    turn: TurnId
    about: dict[str, Any]


@dataclass(slots=True)
class _Playing:
    turn: TurnId
    about: dict[str, Any]
    heard_ms: int = 0
    packets: Iterator[bytes] = field(default_factory=lambda: iter(()))
    seq: Seq = _NONE
    sent: int = 0
    """Packets of the piece that are on their way ..."""
    total: int = 0
    """... and all of them."""


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer of which the caller hears no more."""

    turn: TurnId
    about: dict[str, Any]
    heard_ms: int


class SoundOutput(MediaStreamTrack):
    """A track that gives packets instead of frames: what is sent was encoded once, for everybody.

    `run` tells the caller what begins, goes on and ends; aiortc calls `recv`.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[_Piece | _End] = deque()
        self._held = 0
        self._current: _Playing | None = None
        self._news = asyncio.Event()
        self._released = False
        self._log: EventLog | None = None
        self._session: SessionId | None = None
        self._tell, self._told = anyio.create_memory_object_stream[tuple[str, dict[str, Any]]](_TOLD)
        self._due = 0.0
        """When the next packet is to be sent, by the clock of the event loop."""
        self._begun = 0.0
        self._pts = 0
        self._quiet = 0
        self._paused = False
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self.cursor = ""
        """Place of the sound that was not sent yet: the number of its event, and milliseconds."""

    def read_from(self, log: EventLog, session: SessionId) -> None:
        """Takes the place of sound that does not wait in memory."""
        self._log, self._session = log, session

    async def run(self, tell: Tell) -> None:
        """Tell the caller, until it is cancelled. Raises what `tell` raises."""
        async for kind, data in self._told:
            await tell(kind, **data)

    # ------------------------------------------------------------ what is to be played

    def play(self, chunk: Recorded, about: dict[str, Any], *, skip_ms: int = 0) -> None:
        """The sound of an `audio.chunk` event, behind everything else."""
        kept = (chunk.audio or b"") if self._held + len(chunk.audio or b"") <= _HELD else None
        self._held += len(kept or b"")
        if kept is not None or not _lengthened(self._queue, chunk.seq, about):
            skip, at_ms = skip_ms // PACKET_MS, chunk.data["at_ms"]
            self._queue.append(_Piece(chunk.seq, chunk.turn, at_ms, about, kept, skip, until=chunk.seq))
        self._news.set()

    def end(self, turn: TurnId, about: dict[str, Any]) -> None:
        """Of a response no more comes."""
        self._queue.append(_End(turn, about))
        self._news.set()

    def release(self) -> None:
        """Begin: everything that the caller missed is in the queue."""
        self._released = True
        self._news.set()

    def hold(self, paused: bool) -> None:
        """Falls silent within 200 ms, at the end of a stretch that the caller was told of, or goes on."""
        self._paused = paused
        self._news.set()

    @property
    def playing(self) -> bool:
        return self._current is not None or any(isinstance(one, _Piece) for one in self._queue)

    def clear(self, turn: TurnId | None = None) -> list[Cut]:
        """Drop the sound of a turn, or all of it, and tell the caller so if any of it was heard."""
        cuts: dict[TurnId, Cut] = {}
        current = self._current
        if current is not None and turn in (None, current.turn):
            cuts[current.turn] = Cut(current.turn, current.about, current.heard_ms)
            self._note("output_audio_buffer.cleared", response_id=current.about["response_id"])
            self._current = None
        rest: deque[_Piece | _End] = deque()
        for one in self._queue:
            if turn not in (None, one.turn):
                rest.append(one)
            elif isinstance(one, _Piece):
                self._held -= len(one.audio or b"")
                cuts.setdefault(one.turn, Cut(one.turn, one.about, 0))
        self._queue = rest
        return list(cuts.values())

    async def leave(self) -> None:
        """Return at the end of a stretch that the caller was told of: nothing is lost or comes twice."""
        self._leaving.set()
        self._news.set()
        with anyio.move_on_after(2 * POSITION_MS / 1_000):
            await self._left.wait()

    # ------------------------------------------------------------ what is played

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, when it is due. Raises MediaStreamError when the track was stopped."""
        if self.readyState != "live":
            raise MediaStreamError
        self._begun = self._begun or asyncio.get_running_loop().time()
        content = await self._next()
        if content is None:
            content = await self._quiet_packet()
        else:
            playing = self._current
            await self._wait()
            content = content if self._current is playing else _SILENCE  # cleared meanwhile
        packet = av.Packet(content)
        packet.pts, packet.time_base = self._pts, _BASE
        self._pts += _SAMPLES
        self._due += PACKET_MS / 1_000
        return packet

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._due > now:
            await asyncio.sleep(self._due - now)
        elif now - self._due > _BEHIND_S:
            self._due = now

    async def _quiet_packet(self) -> bytes:
        """A few packets at once after sound, then one now and then, until there is sound again."""
        self._quiet += 1
        if self._quiet <= _TRAIL:
            await self._wait()
            return _SILENCE
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_S):
                await self._news.wait()
        content = await self._next()
        now = asyncio.get_running_loop().time()
        # From the beginning, so that what each rounding loses does not add up.
        passed = round((now - self._begun) * 1_000 / PACKET_MS) * _SAMPLES
        self._pts = max(self._pts, passed)
        self._due = max(now, self._due)
        return content or _SILENCE

    async def _next(self) -> bytes | None:
        while self._released:
            current, waits = self._current, self._paused or self._leaving.is_set()
            if current is not None:
                if current.sent % (POSITION_MS // PACKET_MS) == 0 and waits:
                    break
                packet = next(current.packets, None)
                if packet is not None:
                    self._advance(current)
                    self._quiet = 0
                    return packet
            if not self._queue or waits:
                break
            await self._begin(self._queue.popleft())
        if self._leaving.is_set():
            self._left.set()
        return None

    def _advance(self, current: _Playing) -> None:
        """Another packet is on its way; before each stretch of them its end is told."""
        if current.sent % (POSITION_MS // PACKET_MS) == 0:
            stretch_ms = min(POSITION_MS, (current.total - current.sent) * PACKET_MS)
            self.cursor = f"{current.seq}.{current.sent * PACKET_MS + stretch_ms}"
            self._note(
                "output_audio_buffer.position",
                **current.about,
                audio_ms=current.heard_ms + stretch_ms,
                audio_cursor=self.cursor,
            )
        current.sent += 1
        current.heard_ms += PACKET_MS

    async def _begin(self, one: _Piece | _End) -> None:
        current = self._current
        if isinstance(one, _End):
            if current is not None and current.turn == one.turn:
                self._note("output_audio_buffer.stopped", response_id=one.about["response_id"])
                self._current = None
            return
        if current is None or current.turn != one.turn:
            if current is not None:
                self._note("output_audio_buffer.stopped", response_id=current.about["response_id"])
            self._current = current = _Playing(one.turn, one.about)
            self._note("output_audio_buffer.started", response_id=one.about["response_id"])
        self._held -= len(one.audio or b"")
        rest = [] if one.audio is not None else await _fetch(self._log, self._session, one)
        if self._current is not current:  # cleared meanwhile
            return
        self._queue.extendleft(rest)
        packets = list(unframe(one.audio or b""))
        current.packets = iter(packets[one.skip :])
        current.seq, current.sent, current.total = one.seq, one.skip, len(packets)
        current.heard_ms = one.at_ms + one.skip * PACKET_MS

    def _note(self, kind: str, **data: Any) -> None:
        try:
            self._tell.send_nowait((kind, data))
        except anyio.WouldBlock:  # a client that takes no events is about to be cut off for it
            if kind != "output_audio_buffer.position":
                self._tell.close()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass


def _lengthened(queue: deque[_Piece | _End], until: Seq, about: dict[str, Any]) -> bool:
    """Whether the last piece of a queue is that response's, is not in memory, and now goes up to `until`."""
    last = queue[-1] if queue else None
    if not isinstance(last, _Piece) or last.audio is not None or last.about != about:
        return False
    last.until = until
    return True


async def _fetch(log: EventLog | None, session: SessionId | None, piece: _Piece) -> list[_Piece]:
    """Puts the first sound of a piece into it. Returns the piece of the rest, if there is any."""
    assert log is not None
    assert session is not None
    after = Seq(piece.seq - 1)
    while after < piece.until and (found := await log.read(session, after, limit=_READ, audio=True)):
        for each in found:
            if each.turn == piece.turn and each.type == "audio.chunk" and each.seq <= piece.until:
                rest = replace(piece, seq=Seq(each.seq + 1), skip=0)
                piece.seq, piece.at_ms, piece.audio = each.seq, each.data["at_ms"], each.audio
                return [rest] if each.seq < piece.until else []
        after = found[-1].seq
    return []
