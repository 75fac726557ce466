"""Silence in a voice's sound: how long it may be inside a sentence, and how long it is after one."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import numpy as np

from pipeline.engines.ports import Stream, WordTimes

_FRAME_MS: Final = 10
_QUIET: Final = 260
"""Root mean square of 16-bit samples, -42 dBFS: what is below it is heard as a pause, a soft breath too."""
INNER_MS: Final = 350
"""A pause inside a sentence is at most so long where a voice does not say at which word it is."""


class Pauses:
    """Shortens pauses inside one sentence to `inner_ms`, and makes the silence at its end `after_ms` long.

    16-bit mono PCM. None leaves a pause as the voice makes it. How the sound comes in pieces changes nothing;
    only silence is held back.
    """

    def __init__(self, rate: int, *, inner_ms: int | None = None, after_ms: int | None = None) -> None:
        self._size = 2 * (rate * _FRAME_MS // 1_000)
        self._inner = inner_ms
        self._after = after_ms
        self._rest = b""
        self._silence = bytearray()
        self._sounded = False

    def push(self, pcm: bytes) -> bytes:
        """Whole samples; what is to be heard now."""
        pcm = self._rest + pcm
        frames = len(pcm) // self._size
        self._rest = pcm[frames * self._size :]
        samples = np.frombuffer(pcm[: frames * self._size], "<i2").astype(np.float32)
        loud = np.sqrt((samples.reshape(frames, -1) ** 2).mean(axis=1)) > _QUIET if frames else ()
        made = bytearray()
        for number, is_loud in enumerate(loud):
            frame = pcm[number * self._size : (number + 1) * self._size]
            if not is_loud:
                self._silence += frame
                continue
            made += self._pause() if self._sounded else self._silence
            self._silence.clear()
            self._sounded = True
            made += frame
        return bytes(made)

    def finish(self) -> bytes:
        """The silence at the end. A sound that is silent all through stays as it was."""
        end = bytes(self._silence) + self._rest
        if self._after is None or not self._sounded:
            return end
        wanted = self._bytes_of(self._after)
        return end[:wanted].ljust(wanted, b"\0")

    def _pause(self) -> bytes:
        """The pause before the next sound; its middle goes where it is too long."""
        most = len(self._silence) if self._inner is None else self._bytes_of(self._inner)
        if len(self._silence) <= most:
            return bytes(self._silence)
        first = most // 4 * 2
        return bytes(self._silence[:first] + self._silence[len(self._silence) - (most - first) :])

    def _bytes_of(self, ms: int) -> int:
        return self._size * ms // _FRAME_MS // 2 * 2


async def paused(
    sound: Stream[WordTimes | bytes], rate: int, after_ms: int | None
) -> AsyncGenerator[WordTimes | bytes, None]:
    """The sound as fast as it is heard, with so much silence after it, and no long pause inside.

    A voice that says when its words are heard places its own pauses, so that its times stay true.
    """
    pauses = None if after_ms is None else Pauses(rate, after_ms=after_ms)
    first = True
    async with aclosing(sound) as parts:
        async for part in parts:
            if first and not isinstance(part, WordTimes):
                pauses = Pauses(rate, inner_ms=INNER_MS, after_ms=after_ms)
            first = False
            if pauses is None or isinstance(part, WordTimes):
                yield part
            elif heard := pauses.push(part):
                yield heard
    if pauses is not None and (rest := pauses.finish()):
        yield rest
