"""A voice call: a microphone at real-time pace, a player, and the time of every frame."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic, time
from typing import Any, Final

import numpy as np

from loadtests.client.api_connection import ApiConnection, EventSocket, TimedFrame
from loadtests.client.recorded_speech import PER_MS
from rhapsode.frame_batcher import FrameBatcher


class PlaybackClock:
    """Plays one turn at a time. Every call says what time it is (seconds, never backwards)."""

    def __init__(self) -> None:
        self.turn: int | None = None
        self._heard_ms = 0.0
        self._have_ms = 0.0
        self._held = False
        self._at_s = 0.0

    def push(self, turn: int, ms: int, now_s: float) -> None:
        """A chunk came; of a new turn: the one before is left."""
        self._advance(now_s)
        if turn != self.turn:
            self.turn, self._heard_ms, self._have_ms = turn, 0.0, 0.0
        self._have_ms += ms

    def hold(self, now_s: float, *, held: bool) -> None:
        self._advance(now_s)
        self._held = held

    def flush(self, now_s: float) -> None:
        """Nothing more of this turn is played."""
        self._advance(now_s)
        self._have_ms = self._heard_ms

    def heard_ms(self, now_s: float) -> float:
        """So much of the turn has come out."""
        self._advance(now_s)
        return self._heard_ms

    def remaining_s(self, now_s: float) -> float:
        """Of what came, so much has not been played yet."""
        self._advance(now_s)
        return (self._have_ms - self._heard_ms) / 1_000

    def _advance(self, now_s: float) -> None:
        if not self._held:
            self._heard_ms = min(self._have_ms, self._heard_ms + (now_s - self._at_s) * 1_000)
        self._at_s = now_s


FRAME_MS: Final = 20
_FRAME_BYTES: Final = FRAME_MS * PER_MS
_ROOM: Final = np.random.default_rng(4).integers(-3, 4, _FRAME_BYTES * 25, np.int16).astype("<i2").tobytes()
"""A quiet room, a second of it: 80 dB below full scale."""


class PacedMicrophone:
    """Sends frames of 20 ms, each when its last sample has been spoken; silence as our clients send it."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._waiting = bytearray()
        self._frames = 0
        self._batcher = FrameBatcher(PER_MS * 1_000 // 2)
        self._began_s = 0.0
        self.late_ms: list[float] = []
        """By how much each frame left late, which is the caller's own fault or the socket's."""

    def say(self, pcm: bytes) -> float:
        """Speak after what is being said; where in the input it begins, in milliseconds."""
        begins = self._frames * FRAME_MS + len(self._waiting) / PER_MS
        self._waiting += pcm
        return begins

    def instant_s(self, ms: float) -> float:
        """When the sound at `ms` of the input was spoken (monotonic seconds)."""
        return self._began_s + ms / 1_000

    @property
    def speaking(self) -> bool:
        return bool(self._waiting)

    async def run(self) -> None:
        """Until cancelled."""
        self._began_s = monotonic()
        while True:
            due = self.instant_s((self._frames + 1) * FRAME_MS)
            await asyncio.sleep(max(0.0, due - monotonic()))
            if pcm := self._batcher.push(self._next()):
                await self._send(pcm)
            self.late_ms.append((monotonic() - due) * 1_000)

    def _next(self) -> bytes:
        frame = bytes(self._waiting[:_FRAME_BYTES])
        del self._waiting[:_FRAME_BYTES]
        room = self._frames * _FRAME_BYTES % len(_ROOM)
        self._frames += 1
        return frame + _ROOM[room : room + _FRAME_BYTES][len(frame) :]


_TELL_S: Final = 1.0
"""As often the page says what was heard."""
_LOOK_S: Final = 0.02


class VoiceCall:
    """Speaks and listens at once. Everything that came is in `arrivals`."""

    def __init__(self, socket: EventSocket) -> None:
        self._socket = socket
        self.microphone = PacedMicrophone(socket.send_sound)
        self.loudspeaker = PlaybackClock()
        self.arrivals: list[TimedFrame] = []
        self.epoch_s = monotonic() - time()
        """The epoch on the monotonic clock: one machine, one clock for events and arrivals."""
        self._changed = asyncio.Event()

    async def send(self, **message: Any) -> float:
        """When it was sent."""
        return await self._socket.send(message) / 1e9

    async def until(
        self, told: Callable[[TimedFrame], bool], *, after: int = 0, limit_s: float = 60
    ) -> TimedFrame:
        """The first from number `after` on that is so, come or to come."""
        async with asyncio.timeout(limit_s):
            while True:
                for arrival in self.arrivals[after:]:
                    if told(arrival):
                        return arrival
                after = len(self.arrivals)
                self._changed.clear()
                await self._changed.wait()

    async def until_so(self, holds: Callable[[], bool], *, limit_s: float = 60) -> None:
        """Return when it holds; looked at whenever something has arrived."""
        async with asyncio.timeout(limit_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def listen(self) -> None:
        """Until the connection ends."""
        async for arrival in self._socket.frames():
            self._play(arrival)
            self.arrivals.append(arrival)
            self._changed.set()

    def _play(self, arrival: TimedFrame) -> None:
        match arrival.type:
            case "audio.chunk" if arrival.turn is not None:
                self.loudspeaker.push(arrival.turn, arrival.data["ms"], arrival.at_s)
            case "playback.paused" | "playback.resumed":
                self.loudspeaker.hold(arrival.at_s, held=arrival.type == "playback.paused")
            case "playback.flushed" if arrival.turn == self.loudspeaker.turn:
                self.loudspeaker.flush(arrival.at_s)

    async def acknowledge(self) -> None:
        """Until cancelled: say every second, and when it falls silent, what has been heard."""
        said: tuple[int | None, int] = (None, 0)
        said_s, sounded = 0.0, False
        while True:
            await asyncio.sleep(_LOOK_S)
            now, speaker = monotonic(), self.loudspeaker
            heard, sounds = (speaker.turn, round(speaker.heard_ms(now))), speaker.remaining_s(now) > 0
            if heard != said and heard[1] and (now - said_s >= _TELL_S or (sounded and not sounds)):
                await self.send(type="playback.ack", turn=heard[0], heard_ms=heard[1])
                said, said_s = heard, now
            sounded = sounds


@asynccontextmanager
async def voice_call(
    client: ApiConnection, session: str, *, audio: str = "opus"
) -> AsyncGenerator[VoiceCall, None]:
    """Connected, and its input open; everything of it ends with the block."""
    socket = await client.connect(session, after="head", audio=audio)
    try:
        call = VoiceCall(EventSocket(socket))
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(doing) for doing in (call.listen(), call.acknowledge())]
            await call.send(type="input.open")
            await call.until(lambda arrival: arrival.type == "input.ready")
            work.append(tasks.create_task(call.microphone.run()))
            try:
                yield call
            finally:
                for task in work:
                    task.cancel()
    finally:
        await socket.close()
