"""Piper as a streaming voice: its sound begins while the rest of the sentence is still being made."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.model_files import voice_files
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes, wished
from pipeline.engines.slots import Slots
from pipeline.engines.tts.piper_device import providers_for
from pipeline.engines.tts.piper_voice import PiperFrames, Voice
from pipeline.engines.tts.tempo import at_tempo, missing
from pipeline.engines.tts.voice_windows import stream_windows
from pipeline.engines.watchdog import Watchdog
from schemas.errors import EngineDead, EngineFailed, UnknownVoice
from schemas.settings import TextToSpeechSettings

P = ParamSpec("P")
T = TypeVar("T")


def build(settings: TextToSpeechSettings, cache: Path) -> "PiperTextToSpeech":
    """The registry's factory: prepares the voice if need be."""
    files = voice_files(settings, cache)
    return PiperTextToSpeech(files.name, Voice(files, providers_for(settings.device)), settings)


class PiperTextToSpeech:
    """Speaks sentences side by side: windows of all of them take turns on `settings.threads` threads."""

    def __init__(self, name: str, voice: Voice, settings: TextToSpeechSettings) -> None:
        self._name = name
        self._voice = voice
        self._slots = Slots(settings.streams)
        # A sentence asks for its next window when it has the one before: so the queue is fair by itself.
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="piper")
        self._watchdog = Watchdog(settings.stall_s)
        self._closed = False

    @property
    def sample_rate(self) -> int:
        return self._voice.sample_rate

    @property
    def voices(self) -> tuple[str, ...]:
        return (self._name,)

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        return {self._name: (self._voice.language,)}

    @property
    def open_streams(self) -> int:
        """Sentences at work or waiting."""
        return self._slots.taken

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`: one voice has one style."""
        return wished(delivery, *(("phonemes",) if self._voice.reads_phonemes else ()))

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing lets the window at work finish, and no other begin."""
        if voice != self._name:
            raise UnknownVoice(f"There is no voice {voice!r}; there is: {self._name}.", field="voice")
        async with self._slots.take():
            pieces = await self._in_thread(self._voice.pronounce, text, delivery.phonemes)
            sentences = [sentence for piece in pieces for sentence in piece.sentences]
            made = [await self._in_thread(self._voice.frames, sentence, speed) for sentence in sentences]
            stream = stream_windows(pieces, made, self._sound, rate=self.sample_rate, hop=self._voice.hop)
            if speed != 1.0:
                natural = [await self._in_thread(self._voice.frames, sentence, 1.0) for sentence in sentences]
                stream = at_tempo(stream, missing(made, natural, speed), self.sample_rate, self._in_thread)
            async with aclosing(stream) as items:
                async for item in items:
                    yield item

    def check(self) -> None:
        """Raises EngineDead if a window has been at work for too long."""
        self._watchdog.check()

    async def aclose(self) -> None:
        """Refuse further work; sentences under way fail with EngineDead at their next window."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    async def _sound(self, frames: PiperFrames, start: int, end: int) -> NDArray[np.float32]:
        return await self._in_thread(self._voice.samples, frames, start, end)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise EngineDead("The voice was shut down.")
        future = self._pool.submit(self._watchdog.watched, partial(work, *args, **kwargs))
        try:
            return await asyncio.wrap_future(future)
        except Exception as error:  # espeak and onnxruntime raise what they like
            raise EngineFailed(f"The voice could not speak: {error}") from error
