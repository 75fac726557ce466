"""The answers' sound on its way to a caller: frames of 20 ms, a little ahead of what was heard."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import anyio
import anyio.to_thread

from deployments.faces.telephone.media_messages import G711
from pipeline.audio.g711 import TELEPHONE_RATE, G711Encoder
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, TurnId

log = logging.getLogger(__name__)

FRAME_MS: Final = 20
FRAME_BYTES: Final = TELEPHONE_RATE * FRAME_MS // 1_000
MARK_FRAMES: Final = 10
"""A mark follows so many frames: what was heard is known to 200 ms."""
_AHEAD: Final = 50
"""Frames at the provider that were not heard yet; so much more of an answer is at most repeated or lost."""
_UNMARKED_S: Final = 10.0
"""A provider that returns no mark for so long is taken to have played what it has."""
_HELD: Final = 1024 * 1024
"""Bytes of Opus that wait in memory; later sound is read from the log."""
_DROPPED: Final = 64
_SILENCE: Final[dict[G711, bytes]] = {"mulaw": b"\xff", "alaw": b"\xd5"}

Send = Callable[[str, str | bytes], Awaitable[None]]
"""Sends `media` with its payload, `mark` with its name, or `clear`."""
Render = Callable[[Recorded], Awaitable[bytes]]
Heard = Callable[[TurnId, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PhoneFrame:
    """20 ms of sound in G.711; `end_ms`: its end in the turn's sound."""

    number: int
    turn: TurnId
    end_ms: int
    payload: bytes


class PhoneOutput:
    """Of one media stream. `run` sends; all other methods return at once, or when a `clear` was sent."""

    def __init__(self, render: Render, send: Send, heard: Heard, encoding: G711) -> None:
        """`render` makes PCM16 at 24 kHz of an `audio.chunk`; `heard` is told how far a turn was heard."""
        self._render = render
        self._send = send
        self._heard = heard
        self._encoding: G711 = encoding
        self._chunks: deque[Recorded] = deque()
        self._held_bytes = 0
        self._frames: deque[PhoneFrame] = deque()
        self._sent: deque[PhoneFrame] = deque()
        """Frames at the provider that were not heard, as far as is known."""
        self._marks: deque[tuple[str, int]] = deque()
        """Names of marks at the provider, and the number of the frame before each."""
        self._clears = 0
        self._number = 0
        self._unmarked = 0
        self._paused = False
        self._dropped: deque[TurnId] = deque(maxlen=_DROPPED)
        self._skip: dict[TurnId, int] = {}
        self._encoder = G711Encoder(encoding)
        self._sentence: tuple[TurnId, int] | None = None
        self._rest = b""
        self._end_ms = 0
        self._rendering = NO_TURN
        self._news = anyio.Event()

    # ------------------------------------------------------------ what is to be played

    def skip(self, turn: TurnId, heard_ms: int) -> None:
        """So much of the turn was heard before."""
        self._skip[turn] = heard_ms

    def play(self, chunk: Recorded) -> None:
        """The sound of an `audio.chunk` event, behind everything else."""
        if chunk.turn in self._dropped or chunk.data["at_ms"] + chunk.data["ms"] <= self._skip.get(
            chunk.turn, 0
        ):
            return
        size = len(chunk.audio or b"")
        if self._held_bytes + size > _HELD:
            chunk = replace(chunk, audio=None)
        else:
            self._held_bytes += size
        self._chunks.append(chunk)
        self._wake()

    def pending(self, turn: TurnId) -> bool:
        """Whether sound of the turn was not heard yet."""
        return self._rendering == turn or any(
            one.turn == turn for queue in (self._chunks, self._frames, self._sent) for one in queue
        )

    async def drop(self, turn: TurnId) -> None:
        """The caller hears no more of this turn."""
        self._dropped.append(turn)
        sounds = any(frame.turn == turn for frame in self._sent)
        if sounds:
            self._take_back()
        kept = [chunk for chunk in self._chunks if chunk.turn != turn]
        self._held_bytes = sum(len(chunk.audio or b"") for chunk in kept)
        self._chunks = deque(kept)
        self._frames = deque(frame for frame in self._frames if frame.turn != turn)
        if sounds:
            await self._send("clear", "")
        self._wake()

    async def pause(self) -> None:
        """Hold the sound; what was not heard is sent again after `resume`."""
        if not self._paused:
            self._paused = True
            if self._sent:
                self._take_back()
                await self._send("clear", "")

    def resume(self) -> None:
        self._paused = False
        self._wake()

    async def marked(self, name: str) -> None:
        """A mark came back. Those from before a `clear` say nothing about what was heard."""
        if all(name != known for known, _ in self._marks):
            return
        number = -1
        while self._marks and number < 0:
            known, before = self._marks.popleft()
            number = before if known == name else -1
        heard: dict[TurnId, int] = {}
        while self._sent and self._sent[0].number <= number:
            frame = self._sent.popleft()
            heard[frame.turn] = frame.end_ms
        self._wake()
        for turn, ms in heard.items():
            await self._heard(turn, ms)

    def _take_back(self) -> None:
        self._clears += 1
        self._frames.extendleft(reversed(self._sent))
        self._sent.clear()
        self._marks.clear()
        self._unmarked = 0

    def _wake(self) -> None:
        self._news.set()

    # ------------------------------------------------------------ what is played

    async def run(self) -> None:
        """Send, until it is cancelled. Raises what `send` raises."""
        while True:
            if not self._paused and self._frames and len(self._sent) < _AHEAD:
                await self._send_frame(self._frames.popleft())
            elif not self._frames and self._chunks:
                await self._make_frames(self._take_chunk())
            else:
                await self._wait()

    async def _wait(self) -> None:
        self._news = anyio.Event()
        full = len(self._sent) >= _AHEAD and not self._paused
        with anyio.move_on_after(_UNMARKED_S if full else None) as waiting:
            await self._news.wait()
        if waiting.cancelled_caught and len(self._sent) >= _AHEAD:
            log.warning("no mark came back within %g s: the sound counts as played", _UNMARKED_S)
            self._sent.clear()
            self._marks.clear()

    def _take_chunk(self) -> Recorded:
        chunk = self._chunks.popleft()
        self._held_bytes -= len(chunk.audio or b"")
        return chunk

    async def _send_frame(self, frame: PhoneFrame) -> None:
        clears = self._clears
        self._sent.append(frame)
        self._unmarked += 1
        last = not self._frames or self._frames[0].turn != frame.turn
        await self._send("media", frame.payload)
        if clears == self._clears and (self._unmarked >= MARK_FRAMES or last):
            self._unmarked = 0
            name = f"{clears}.{frame.number}"
            self._marks.append((name, frame.number))
            await self._send("mark", name)

    async def _make_frames(self, chunk: Recorded) -> None:
        self._rendering = chunk.turn
        try:
            pcm = await self._render(chunk)
            sentence = chunk.turn, int(chunk.data["sentence"])
            if sentence != self._sentence:
                self._encoder, self._sentence = G711Encoder(self._encoding), sentence
                self._rest, self._end_ms = b"", chunk.data["at_ms"]
            last = bool(chunk.data["last"])
            codes = await anyio.to_thread.run_sync(lambda: self._encoder.encode(pcm, last=last))
        finally:
            self._rendering = NO_TURN
        codes = self._rest + codes
        whole = len(codes) // FRAME_BYTES * FRAME_BYTES
        self._rest = codes[whole:]
        if last:
            codes += _SILENCE[self._encoding] * (-len(codes) % FRAME_BYTES)
            self._sentence, whole = None, len(codes)
        if chunk.turn not in self._dropped:
            self._add(chunk.turn, codes[:whole])

    def _add(self, turn: TurnId, codes: bytes) -> None:
        """Cuts whole frames; those that were heard before are left out."""
        for at in range(0, len(codes), FRAME_BYTES):
            self._end_ms += FRAME_MS
            self._number += 1
            if self._end_ms > self._skip.get(turn, 0):
                payload = codes[at : at + FRAME_BYTES]
                self._frames.append(PhoneFrame(self._number, turn, self._end_ms, payload))
