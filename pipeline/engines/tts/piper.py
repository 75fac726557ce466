"""Piper as a streaming voice: its sound begins while the rest of the sentence is still being made."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from pipeline.engines.model_files import VoiceFiles, voice_files
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, Stream, WordTimes, wished
from pipeline.engines.slots import Slots
from pipeline.engines.tts.piper_device import providers_for
from pipeline.engines.tts.piper_voice import PiperFrames, Voice, config_of, language_of, reads_phonemes
from pipeline.engines.tts.tempo import at_tempo, missing
from pipeline.engines.tts.voice_windows import stream_windows
from pipeline.engines.watchdog import WatchedEngine
from schemas.errors import EngineDead, EngineFailed, UnknownVoice
from schemas.settings import TextToSpeechSettings

P = ParamSpec("P")
T = TypeVar("T")


def build(settings: TextToSpeechSettings, cache: Path) -> "PiperTextToSpeech":
    """The registry's factory: prepares the voices if need be, and loads the first one."""
    load = partial(Voice, providers=providers_for(settings.device))
    return PiperTextToSpeech(voice_files(settings, cache), load, settings)


class PiperTextToSpeech(WatchedEngine):
    """Speaks sentences side by side: windows of all of them take turns on `settings.threads` threads.

    `settings.loaded_voices` are in memory, and those that speak at the moment.
    """

    def __init__(
        self, files: Sequence[VoiceFiles], load: Callable[[VoiceFiles], Voice], settings: TextToSpeechSettings
    ) -> None:
        super().__init__(Slots(settings.streams), settings.stall_s)
        self._files = {one.name: one for one in files}
        self._load = load
        self._configs = {one.name: config_of(one) for one in files}
        self._loaded = {files[0].name: load(files[0])}
        """The one that was used last is the last one."""
        self._most = settings.loaded_voices
        self._loading = asyncio.Lock()
        # A sentence asks for its next window when it has the one before: so the queue is fair by itself.
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="piper")
        self._closed = False

    @property
    def sample_rate(self) -> int:
        """The highest of its voices; the sound of the others is converted to it."""
        return max(int(one.sample_rate) for one in self._configs.values())

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(self._files)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Voices in memory, the one that was used last at the end."""
        return tuple(self._loaded)

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        return {name: (language_of(config),) for name, config in self._configs.items()}

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`: a voice has one style."""
        known = ("phonemes",) if all(map(reads_phonemes, self._configs.values())) else ()
        return wished(delivery, *known)

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing lets the window at work finish, and no other begin."""
        if voice not in self._files:
            known = ", ".join(self._files)
            raise UnknownVoice(f"There is no voice {voice!r}; there is: {known}.", field="voice")
        async with self._slots.take():
            sound = self._spoken(await self._voice(voice), text, speed, delivery)
            async with aclosing(sound) as items:
                async for item in items:
                    yield item

    async def aclose(self) -> None:
        """Refuse further work; sentences under way fail with EngineDead at their next window."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    async def _voice(self, name: str) -> Voice:
        """The voice, loaded if need be; the one that was used least recently leaves the memory then."""
        if name not in self._loaded:
            async with self._loading:
                if name not in self._loaded:
                    self._loaded[name] = await self._load_aside(name)
        voice = self._loaded[name] = self._loaded.pop(name)
        while len(self._loaded) > self._most:
            del self._loaded[next(iter(self._loaded))]
        return voice

    async def _load_aside(self, name: str) -> Voice:
        """Beside the threads that speak, which go on meanwhile."""
        load = partial(self._load, self._files[name])
        try:
            return await asyncio.to_thread(self._watchdog.watched, load)
        except Exception as error:  # onnxruntime raises what it likes
            raise EngineFailed(f"The voice {name} could not be loaded: {error}") from error

    async def _spoken(
        self, voice: Voice, text: str, speed: float, delivery: EngineResult
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        async def sound(frames: PiperFrames, start: int, end: int) -> NDArray[np.float32]:
            return await self._in_thread(voice.samples, frames, start, end)

        pieces = await self._in_thread(voice.pronounce, text, delivery.phonemes)
        sentences = [sentence for piece in pieces for sentence in piece.sentences]
        made = [await self._in_thread(voice.frames, sentence, speed) for sentence in sentences]
        stream = stream_windows(pieces, made, sound, rate=voice.sample_rate, hop=voice.hop)
        if speed != 1.0:
            natural = [await self._in_thread(voice.frames, sentence, 1.0) for sentence in sentences]
            stream = at_tempo(stream, missing(made, natural, speed), voice.sample_rate, self._in_thread)
        if voice.sample_rate != self.sample_rate:
            stream = _at_rate(stream, voice.sample_rate, self.sample_rate)
        async with aclosing(stream) as items:
            async for item in items:
                yield item

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise EngineDead("The voice was shut down.")
        future = self._pool.submit(self._watchdog.watched, partial(work, *args, **kwargs))
        try:
            return await asyncio.wrap_future(future)
        except Exception as error:  # espeak and onnxruntime raise what they like
            raise EngineFailed(f"The voice could not speak: {error}") from error


async def _at_rate(
    sound: Stream[WordTimes | bytes], rate: int, wanted: int
) -> AsyncGenerator[WordTimes | bytes, None]:
    """The same sound at another sample rate; some 0.1 ms of work for a window."""
    rates = soxr.ResampleStream(rate, wanted, 1, dtype="int16", quality="HQ")
    async with aclosing(sound) as items:
        async for item in items:
            if isinstance(item, WordTimes):
                yield item
            elif (made := rates.resample_chunk(np.frombuffer(item, "<i2"))).size:
                yield made.tobytes()
    if (rest := rates.resample_chunk(np.empty(0, np.int16), last=True)).size:
        yield rest.tobytes()
