"""A microphone that never stops: silence, unless something is said into it."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import numpy as np

from loadtests.speech import PER_MS

FRAME_MS: Final = 20
_FRAME_BYTES: Final = FRAME_MS * PER_MS
_ROOM: Final = np.random.default_rng(4).integers(-3, 4, _FRAME_BYTES * 25, np.int16).astype("<i2").tobytes()
"""A quiet room, a second of it: 80 dB below full scale."""


class Microphone:
    """Sends 20 ms frames, each when its last sample has been spoken, as a real one does."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._waiting = bytearray()
        self._frames = 0
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
            await self._send(self._next())
            self.late_ms.append((monotonic() - due) * 1_000)

    def _next(self) -> bytes:
        frame = bytes(self._waiting[:_FRAME_BYTES])
        del self._waiting[:_FRAME_BYTES]
        room = self._frames * _FRAME_BYTES % len(_ROOM)
        self._frames += 1
        return frame + _ROOM[room : room + _FRAME_BYTES][len(frame) :]
