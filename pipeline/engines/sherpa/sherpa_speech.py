"""Kokoro and Pocket TTS as a streaming voice: a few words at a time, and sentences take turns at it."""

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.engines.own_thread import OwnThread
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes, wished
from pipeline.engines.sherpa.sherpa_voice import SherpaVoice, load
from pipeline.engines.slots import Slots
from pipeline.engines.tts.tempo import at_tempo
from pipeline.engines.tts.voice_windows import silence
from pipeline.engines.watchdog import WatchedEngine
from schemas.errors import EngineDead, EngineFailed, UnknownVoice
from schemas.settings import TextToSpeechSettings

_PART: Final = re.compile(
    r"\S.{0,79}(?:[.!?;:,](?=\s|$)|[。！？；：，、…])|\S.{0,79}(?=\s|$)|\S.{0,79}", re.DOTALL
)
"""Up to 81 characters, to the end of a clause if there is one, else of a word."""
_PIECE_MS: Final = 200
_FULL_SCALE: Final = 32_767


def build(settings: TextToSpeechSettings, cache: Path) -> "SherpaTextToSpeech":
    """The registry's factory: loads the network. Raises UnusableWeights."""
    return SherpaTextToSpeech(load(settings), settings)


class SherpaTextToSpeech(WatchedEngine):
    """Satisfies TextToSpeech. One part of a sentence is made at a time, on a thread of its own."""

    def __init__(self, voice: SherpaVoice, settings: TextToSpeechSettings) -> None:
        super().__init__(Slots(settings.streams), settings.stall_s)
        self._voice = voice
        # A sentence asks for its next part when it has the one before: so the queue is fair by itself.
        self._thread = OwnThread(settings.engine)

    @property
    def sample_rate(self) -> int:
        return self._voice.sample_rate

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(self._voice.languages)

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        return self._voice.languages

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`."""
        return wished(delivery)

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing cuts off the part at work where its network allows it."""
        if voice not in self.voices:
            known = ", ".join(self.voices)
            raise UnknownVoice(f"There is no voice {voice!r}; there is: {known}.", field="voice")
        closed = threading.Event()
        async with self._slots.take():
            try:
                natural = self._spoken(text, voice, closed)
                stream = at_tempo(natural, speed, self.sample_rate, asyncio.to_thread)
                async with aclosing(stream) as items:
                    async for item in items:
                        yield item
            finally:
                closed.set()

    async def aclose(self) -> None:
        """Refuse further work; sentences under way fail with EngineDead at their next part."""
        await self._thread.aclose()

    async def _spoken(
        self, text: str, voice: str, closed: threading.Event
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """A part that the voice has no pronunciation for is left out where another one sounds."""
        size, sounds = 2 * (self.sample_rate * _PIECE_MS // 1_000), False
        parts = [part for part in _PART.findall(text) if any(map(str.isalnum, part))]
        for part in parts:
            pcm = await self._made(part, voice, closed)
            sounds = sounds or bool(pcm)
            for start in range(0, len(pcm), size):
                yield pcm[start : start + size]
        if parts and not sounds:
            raise EngineFailed(f"The voice has no pronunciation for {parts[0][:40]!r}.")

    async def _made(self, part: str, voice: str, closed: threading.Event) -> bytes:
        work = partial(self._part, part, voice, closed)
        try:
            return await self._thread.do(self._watchdog.watched, work)
        except EngineDead:
            raise
        except Exception as error:  # onnxruntime raises what it likes
            raise EngineFailed(f"The voice could not speak: {error}") from error

    def _part(self, text: str, voice: str, closed: threading.Event) -> bytes:
        if closed.is_set():
            return b""
        sound = self._voice.sound(text, voice, lambda: not closed.is_set())
        sound = sound[silence(sound, self.sample_rate) :]
        return bytes((sound * _FULL_SCALE).clip(-32_768, 32_767).astype("<i2").tobytes())
