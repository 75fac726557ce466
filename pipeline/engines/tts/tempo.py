"""Speech exactly as fast as it is wished for, at the pitch it has.

A network asked for twice the speed rounds the length of every phoneme up to a whole frame, and is 1.6 times
as fast. The rest of a tempo comes from stretching the sound in time (ffmpeg's `atempo`) while it is made.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from av.filter import Graph

from pipeline.engines.ports import WordTimes
from pipeline.engines.tts.voice_windows import WindowFrames

_ENOUGH: Final = 0.005
"""A voice that is as near as this to the wished speed is left as it is."""
_SLOWEST, _FASTEST = 0.25, 4.0
"""Factors. No voice is as far away from what it was asked for as these."""


class Tempo:
    """16-bit mono PCM, `factor` times as fast. A few milliseconds of CPU for a second of sound."""

    def __init__(self, rate: int, factor: float) -> None:
        self._rate = rate
        self._factor = factor
        self._samples = 0
        self._given = 0
        self._graph = Graph()
        self._graph.threads = 1  # by itself each has as many threads as there are cores
        base = Fraction(1, rate)
        self._source = self._graph.add_abuffer(sample_rate=rate, format="s16", layout="mono", time_base=base)
        last: Any = self._source
        for _ in range(2):  # one alone takes 0.5 to 2 without leaving samples out
            step = self._graph.add("atempo", f"{factor**0.5:.6f}")
            last.link_to(step)
            last = step
        self._sink: Any = self._graph.add("abuffersink")
        last.link_to(self._sink)
        self._graph.configure()

    def push(self, pcm: bytes) -> bytes:
        """Whole samples; what has become certain."""
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = self._rate, self._samples
        frame.time_base = Fraction(1, self._rate)
        self._samples += frame.samples
        self._source.push(frame)
        return self._made()

    def finish(self) -> bytes:
        """The rest; nothing may be pushed after it. By itself `atempo` ends 70 ms early to 20 ms late."""
        self._source.push(None)
        size = 2 * max(0, round(self._samples / self._factor) - self._given)
        return self._made()[:size].ljust(size, b"\0")

    def _made(self) -> bytes:
        parts: list[bytes] = []
        while True:
            try:
                frame = self._sink.pull()
            except (av.BlockingIOError, av.EOFError):
                return b"".join(parts)
            self._given += frame.samples
            parts.append(frame.to_ndarray().astype("<i2").tobytes())


def missing(made: Sequence[WindowFrames], natural: Sequence[WindowFrames], speed: float) -> float:
    """How many times faster `made` must become to be `speed` times as fast as `natural`, the text at 1.0."""
    frames = sum(one.count for one in natural)
    factor = speed * sum(one.count for one in made) / frames if frames else 1.0
    return min(max(factor, _SLOWEST), _FASTEST)


async def at_tempo(
    stream: AsyncGenerator[WordTimes | bytes, None],
    factor: float,
    rate: int,
    work: Callable[..., Awaitable[bytes]],
) -> AsyncGenerator[WordTimes | bytes, None]:
    """Speeds a voice's sound and word times up by `factor`. `work` runs a function in
    a thread."""
    async with aclosing(stream) as items:
        if abs(factor - 1) < _ENOUGH:
            async for item in items:
                yield item
            return
        tempo = Tempo(rate, factor)
        async for item in items:
            if isinstance(item, WordTimes):
                yield _stretched(item, factor)
            elif sound := await work(tempo.push, item):
                yield sound
        if rest := await work(tempo.finish):
            yield rest


def _stretched(times: WordTimes, factor: float) -> WordTimes:
    words = (
        replace(word, start_ms=round(word.start_ms / factor), end_ms=round(word.end_ms / factor))
        for word in times.words
    )
    return WordTimes(tuple(words))
