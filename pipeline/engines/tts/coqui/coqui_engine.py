"""Coqui as a streaming voice: sentences of several callers in one batch on a GPU, one by one on a CPU."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.own_thread import OwnThread
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes, wished
from pipeline.engines.slots import Slots
from pipeline.engines.tts.coqui.coqui_weights import checkpoint_of, is_xtts
from pipeline.engines.tts.device_batches import Gathered
from pipeline.engines.tts.tempo import at_tempo, missing
from pipeline.engines.tts.voice_windows import Sentence, WindowPiece, stream_windows
from pipeline.engines.watchdog import WatchedEngine
from schemas.errors import EngineDead, EngineFailed, UnknownVoice
from schemas.settings import TextToSpeechSettings

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CoquiFrames:
    """A sentence that only needs decoding."""

    latent: Any
    """(channels, frames), where the network is."""
    speaker: Any
    per_id: NDArray[np.float32]

    @property
    def count(self) -> int:
        return int(self.latent.shape[1])


@dataclass(frozen=True, slots=True)
class SentenceWork:
    """A sentence to be turned into frames."""

    sentence: Sentence
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class WindowWork:
    """Frames [start, end) to be turned into sound."""

    frames: CoquiFrames
    start: int
    end: int


if TYPE_CHECKING:
    from pipeline.engines.tts.coqui.coqui_vits import VitsVoice

_log: Final = logging.getLogger(__name__)
_FAILURES: Final = 3
"""After so many failures and no success between them it is not the texts: a GPU does not recover."""


class Network(Protocol):
    """Loaded network: its sample rate and its voices."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def voices(self) -> tuple[str, ...]: ...
    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]: ...


NetworkT = TypeVar("NetworkT", bound=Network)


class CoquiVoice(Network, Protocol):
    """Port of both kinds of network: TextToSpeech, and a check whether the process is still of use."""

    @property
    def open_streams(self) -> int: ...
    def check(self) -> None: ...
    def ignored(self, delivery: EngineResult) -> tuple[str, ...]: ...
    def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]: ...
    async def aclose(self) -> None: ...


def build(settings: TextToSpeechSettings, cache: Path) -> CoquiVoice:
    """Load it, in its own environment: ImportError elsewhere. Takes ten seconds, most of them for torch."""
    from pipeline.engines.tts.coqui.coqui_device import prepared_device

    checkpoint = checkpoint_of(settings, cache.expanduser())
    device = prepared_device(settings)
    if is_xtts(checkpoint):
        from pipeline.engines.tts.coqui.coqui_xtts import XttsTextToSpeech, XttsVoice

        return XttsTextToSpeech(XttsVoice(checkpoint, settings, device), settings)
    from pipeline.engines.tts.coqui.coqui_vits import VitsVoice

    voice = VitsVoice(checkpoint.model, checkpoint.config, checkpoint.name, device)
    return CoquiTextToSpeech(voice, settings, on_gpu=device != "cpu")


class LoadedCoqui(WatchedEngine, Generic[NetworkT]):
    """A network, the sentences that it works on, and whether it is of any use still."""

    def __init__(self, voice: NetworkT, slots: Slots, stall_s: float) -> None:
        super().__init__(slots, stall_s)
        self._voice = voice
        self._failures = 0

    @property
    def sample_rate(self) -> int:
        return self._voice.sample_rate

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voice.voices

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        return self._voice.languages

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`."""
        return wished(delivery)

    def check(self) -> None:
        """Raises EngineDead if nothing succeeds any more, or a window has been at work for too long."""
        if self._failures >= _FAILURES:
            raise EngineDead("nothing can be spoken any more")
        super().check()

    def _failed(self, error: Exception) -> EngineFailed:
        """To be called where the error is handled, whatever torch came up with."""
        _log.warning("a sentence failed", exc_info=True)
        self._failures += 1
        return EngineFailed(f"The voice could not speak ({type(error).__name__}).")

    def _succeeded(self) -> None:
        self._failures = 0


class CoquiTextToSpeech(LoadedCoqui["VitsVoice"]):
    """VITS. Satisfies TextToSpeech. A window is asked for when the one before is there: so turns are fair."""

    def __init__(self, voice: "VitsVoice", settings: TextToSpeechSettings, *, on_gpu: bool = False) -> None:
        super().__init__(voice, Slots(settings.streams), settings.stall_s)
        # Text is looked at beside the network: it must not wait for it, nor keep it waiting.
        self._reader = OwnThread("coqui-text")
        threads = 1 if on_gpu else settings.threads
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="coqui")
        self._device: Gathered[SentenceWork | WindowWork, CoquiFrames | Sound] = Gathered(
            self._done_together,
            type,
            executor=self._workers,
            most=settings.batch if on_gpu else 1,
            at_once=threads,
        )

    @property
    def batches(self) -> list[int]:
        """How many sentences or windows each of the last batches had, the newest last."""
        return list(self._device.sizes)

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing lets the window at work finish, and no other begin."""
        refuse_unknown(voice, self.voices)
        async with self._slots.take():
            pieces = await self._pronounced(text)
            made = await self._frames(pieces, voice, speed)
            stream = stream_windows(pieces, made, self._sound, rate=self.sample_rate, hop=self._voice.hop)
            if speed != 1.0:
                natural = await self._frames(pieces, voice, 1.0)
                factor = missing(made, natural, speed)
                stream = at_tempo(stream, factor, self.sample_rate, asyncio.to_thread)
            async with aclosing(stream) as items:
                async for item in items:
                    yield item

    async def aclose(self) -> None:
        """Refuse further work; sentences under way fail with EngineDead at their next window."""
        self._device.close()
        await self._reader.aclose()
        await asyncio.to_thread(self._workers.shutdown)

    async def _pronounced(self, text: str) -> list[WindowPiece]:
        try:
            return await self._reader.do(self._watchdog.watched, self._voice.pronounce, text)
        except EngineDead:
            raise
        except Exception as error:  # any error of cleaners and phonemizers
            raise EngineFailed(f"The voice could not read this ({type(error).__name__}).") from error

    async def _frames(self, pieces: Sequence[WindowPiece], voice: str, speed: float) -> list[CoquiFrames]:
        made = []
        for sentence in (sentence for piece in pieces for sentence in piece.sentences):
            frames = await self._device.do(SentenceWork(sentence, voice, speed))
            assert isinstance(frames, CoquiFrames)
            made.append(frames)
        return made

    async def _sound(self, frames: CoquiFrames, start: int, end: int) -> Sound:
        sound = await self._device.do(WindowWork(frames, start, end))
        assert not isinstance(sound, CoquiFrames)
        self._succeeded()
        return sound

    def _done_together(
        self, asked: Sequence[SentenceWork | WindowWork]
    ) -> Sequence[CoquiFrames | Sound | Exception]:
        """One batch. If it fails, each of it is tried alone: a sentence fails for its own reasons only."""
        try:
            with self._watchdog.working():
                return self._done(asked)
        except Exception as error:  # any error of torch
            if len(asked) > 1:
                _log.warning("a batch of %d failed; each is tried alone", len(asked))
                return [self._done_together([one])[0] for one in asked]
            return [self._failed(error)]

    def _done(self, asked: Sequence[SentenceWork | WindowWork]) -> Sequence[CoquiFrames | Sound]:
        sentences = [one for one in asked if isinstance(one, SentenceWork)]
        if sentences:
            return self._voice.frames(sentences)
        return self._voice.samples([one for one in asked if isinstance(one, WindowWork)])


def refuse_unknown(voice: str, voices: tuple[str, ...]) -> None:
    """Raises UnknownVoice, naming those that there are."""
    if voice not in voices:
        some = ", ".join(voices[:8]) + (", ..." if len(voices) > 8 else "")
        raise UnknownVoice(f"There is no voice {voice!r}; there is: {some}.", field="voice")
