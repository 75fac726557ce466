"""Piper as a streaming voice: its sound begins while the rest of the sentence is still being made."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.base import AS_CONFIGURED, Delivery, SpokenWord, WordTimes
from pipeline.engines.piper_voice import Frames, Piece, Voice
from pipeline.engines.piper_words import locate
from pipeline.engines.slots import Slots
from pipeline.engines.weights import voice_files
from schemas.errors import EngineDead, EngineFailed, UnknownVoice
from schemas.settings import TextToSpeechSettings

P = ParamSpec("P")
T = TypeVar("T")

_WINDOWS: Final = (20, 40, 80, 120)
"""Frames of the first, second, ... window of a text, 11.6 ms each at 22,050 Hz: the first sound comes soon,
and each window is made while the ones before it play."""
_SMALLEST: Final = 12
"""A shorter rest is joined to the window before it: its margins would cost more than itself."""
_GAIN: Final = 1.2
"""Fixed, because a stream cannot know its peak. Raw peaks of "joe" are 0.25 to 0.81."""
_QUIET: Final = 0.01
_LEAD_MS: Final = 10
_MOST_TRIMMED_MS: Final = 80
"""The voice begins with about 50 ms of silence; all but `_LEAD_MS` is cut, so a listener waits less."""


def build(settings: TextToSpeechSettings, cache: Path) -> "PiperTextToSpeech":
    """The registry's factory: prepares the voice if need be."""
    files = voice_files(settings, cache)
    return PiperTextToSpeech(files.name, Voice(files), settings)


class PiperTextToSpeech:
    """Speaks sentences side by side: windows of all of them take turns on `settings.threads` threads."""

    def __init__(self, name: str, voice: Voice, settings: TextToSpeechSettings) -> None:
        self._name = name
        self._voice = voice
        self._slots = Slots(settings.streams)
        # A sentence asks for its next window when it has the one before: so the queue is fair by itself.
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="piper")
        self._closed = False

    @property
    def sample_rate(self) -> int:
        return self._voice.sample_rate

    @property
    def voices(self) -> tuple[str, ...]:
        return (self._name,)

    @property
    def open_streams(self) -> int:
        """Sentences at work or waiting."""
        return self._slots.taken

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: Delivery = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing lets the window at work finish, and no other begin."""
        if voice != self._name:
            raise UnknownVoice(f"There is no voice {voice!r}; there is: {self._name}.", field="voice")
        async with self._slots.take():
            pieces = await self._in_thread(self._voice.pronounce, text)
            sentences = [sentence for piece in pieces for sentence in piece.sentences]
            made = [await self._in_thread(self._voice.frames, sentence, speed) for sentence in sentences]
            trimmed = 0
            for number, (frames, start, end) in enumerate(_windows(made)):
                sound = await self._in_thread(self._voice.samples, frames, start, end)
                if number == 0:
                    trimmed = _silence(sound, self.sample_rate)
                    yield self._word_times(pieces, made, trimmed)
                    sound = sound[trimmed:]
                yield _pcm16(sound)

    async def aclose(self) -> None:
        """Refuse further work; sentences under way fail with EngineDead at their next window."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise EngineDead("The voice was shut down.")
        future = self._pool.submit(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        except Exception as error:  # espeak and onnxruntime raise what they like
            raise EngineFailed(f"The voice could not speak: {error}") from error

    def _word_times(self, pieces: list[Piece], made: list[Frames], trimmed: int) -> WordTimes:
        """When each word is heard in the audio that begins after `trimmed` samples."""
        ms_per_frame = 1_000 * self._voice.hop / self.sample_rate
        total_ms = ms_per_frame * sum(frames.count for frames in made)
        trimmed_ms = 1_000 * trimmed / self.sample_rate
        words: list[SpokenWord] = []
        rest, first_frame = iter(made), 0
        for piece in pieces:
            symbols: list[str] = []
            at_frame: list[float] = []
            for sentence in piece.sentences:
                frames = next(rest)
                reached = np.concatenate([[0.0], np.cumsum(frames.per_id)])
                symbols += [*sentence.symbols, " "]
                at_frame += [first_frame + float(reached[start]) for start in sentence.starts]
                first_frame += frames.count
            at_frame.append(first_frame)
            for word, place in zip(piece.words, locate(piece.alone, symbols), strict=True):
                if place is not None:
                    begin, end = (
                        min(max(ms * ms_per_frame, trimmed_ms), total_ms) - trimmed_ms
                        for ms in np.interp(place, range(len(at_frame)), at_frame)
                    )
                    words.append(SpokenWord(word.start, word.end, round(begin), round(end)))
        return WordTimes(tuple(words))


def _windows(made: list[Frames]) -> Iterator[tuple[Frames, int, int]]:
    """All frames of all sentences, in order, in windows that grow."""
    sizes = chain(_WINDOWS, repeat(_WINDOWS[-1]))
    for frames in made:
        start = 0
        while start < frames.count:
            end = start + next(sizes)
            if frames.count - end < _SMALLEST:
                end = frames.count
            yield frames, start, end
            start = end


def _silence(sound: NDArray[np.float32], rate: int) -> int:
    """How many samples to leave out at the start of the first window."""
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    first = int(loud[0]) if len(loud) else len(sound)
    return max(0, min(first - rate * _LEAD_MS // 1_000, rate * _MOST_TRIMMED_MS // 1_000, len(sound) - 1))


def _pcm16(sound: NDArray[np.float32]) -> bytes:
    return bytes((sound * (_GAIN * 32_767)).clip(-32_768, 32_767).astype("<i2").tobytes())
