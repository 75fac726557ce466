"""XTTS: a voice taken from a recording. The network keeps state, so it takes one text at a time.

Only imported in the environment that has Coqui.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
import torch
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray
from TTS.config import load_config
from TTS.tts.models.xtts import Xtts

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes
from pipeline.engines.slots import Slots
from pipeline.engines.tts.coqui.coqui_engine import LoadedCoqui, refuse_unknown
from pipeline.engines.tts.coqui.coqui_weights import Checkpoint
from pipeline.engines.tts.piper_words import pieces, speakable
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import EngineDead
from schemas.languages import language_tag, speaks
from schemas.settings import TextToSpeechSettings

P = ParamSpec("P")
T = TypeVar("T")
_RECORDED_RATE: Final = 22_050
"""Sample rate of a speaker's recording that the network takes."""
_TOKENS_A_CHUNK: Final = 20
"""About a second of sound."""
_WAITING: Final = 4
_FULL_SCALE: Final = 32_767

Latents = tuple[Any, Any]


class XttsVoice:
    """A loaded network and whose voices it has. Not safe to use for two texts at a time."""

    def __init__(self, checkpoint: Checkpoint, settings: TextToSpeechSettings, device: str) -> None:
        model_config = load_config(str(checkpoint.config))
        self._model: Any = Xtts(model_config)
        self._model.load_checkpoint(model_config, checkpoint_path=str(checkpoint.model), eval=True)
        self._model.to(device)
        self.sample_rate = int(model_config.model_args.output_sample_rate)
        self._language = settings.language
        self._known: list[str] = list(model_config.languages)
        self._speakers = self._known_speakers(settings.speaker_wav)
        if not self._speakers:
            raise UnusableWeights("XTTS needs somebody's voice: text_to_speech.speaker_wav.")

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(self._speakers)

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        return dict.fromkeys(self.voices, tuple(language_tag(one) for one in self._known))

    def sounds(
        self, text: str, voice: str, speed: float, language: str | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """About a second at a time. Every step blocks; closing it ends the work.

        `language`: of the text; None, and one that the network does not know: the one of the settings.
        """
        known = (one for one in self._known if language is not None and speaks((one,), language))
        latents, embedding = self._speakers[voice]
        stream = self._model.inference_stream(
            *(text, next(known, self._language), latents, embedding),
            stream_chunk_size=_TOKENS_A_CHUNK,
            speed=speed,
        )
        with closing(stream):
            for sound in stream:
                yield sound.float().cpu().numpy()

    def _known_speakers(self, recording: Path | None) -> dict[str, Latents]:
        """The one of the settings first, then those that came with the weights."""
        known: dict[str, Latents] = {}
        if recording is not None:
            path = recording.expanduser()
            if not path.is_file():
                raise UnusableWeights(f"There is no file {path}, which text_to_speech.speaker_wav names.")
            known[path.stem] = _stored(path) if path.suffix == ".pth" else self._heard(path)
        manager = self._model.speaker_manager
        for name, stored in ({} if manager is None else manager.speakers).items():
            known.setdefault(str(name), tuple(stored.values()))
        return known

    def _heard(self, recording: Path) -> Latents:
        sound = torch.from_numpy(decode_audio(str(recording), sampling_rate=_RECORDED_RATE))[None, :]
        if sound.shape[1] < _RECORDED_RATE:
            raise UnusableWeights(f"{recording} is shorter than a second; XTTS wants several.")
        latents = self._model.get_gpt_cond_latents(sound, _RECORDED_RATE)
        return latents, self._model.get_speaker_embedding(sound, _RECORDED_RATE)


class XttsTextToSpeech(LoadedCoqui[XttsVoice]):
    """Satisfies TextToSpeech; it does not know when words are heard, and texts wait for each other."""

    def __init__(self, voice: XttsVoice, settings: TextToSpeechSettings) -> None:
        super().__init__(voice, Slots(1, waiting=settings.streams * _WAITING), settings.stall_s)
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, thread_name_prefix="xtts")

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing lets the chunk at work finish, and no other begin."""
        refuse_unknown(voice, self.voices)
        async with self._slots.take():
            for words in pieces(text):
                piece = speakable(words)
                if not any(char.isalnum() for char in piece):
                    continue
                sounds = self._voice.sounds(piece, voice, speed, delivery.language)
                try:
                    while (sound := await self._step(next, sounds, None)) is not None:
                        if sound.size:
                            yield _pcm16(sound)
                finally:
                    await self._abandon(sounds)

    async def aclose(self) -> None:
        """Refuse further work; a text under way fails with EngineDead at its next chunk."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)

    async def _step(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._thread is None:
            raise EngineDead("The voice was shut down.")
        try:
            done = await asyncio.wrap_future(
                self._thread.submit(self._watchdog.watched, partial(work, *args, **kwargs))
            )
        except Exception as error:  # any error of torch
            raise self._failed(error) from error
        self._succeeded()
        return done

    async def _abandon(self, sounds: Iterator[NDArray[np.float32]]) -> None:
        """After the step at work, on its thread; the next text's first step comes behind it."""
        if self._thread is not None:
            self._thread.submit(sounds.close)  # type: ignore[attr-defined]


def _stored(path: Path) -> Latents:
    """Latents as Coqui keeps a cloned voice."""
    kept = torch.load(path, map_location="cpu", weights_only=True)
    try:
        return kept["gpt_conditioning_latents"], kept["speaker_embedding"]
    except (LookupError, TypeError) as error:
        raise UnusableWeights(
            f"{path} holds no voice: wanted are gpt_conditioning_latents and speaker_embedding."
        ) from error


def _pcm16(sound: NDArray[np.float32]) -> bytes:
    return bytes((sound * _FULL_SCALE).clip(-32_768, 32_767).astype("<i2").tobytes())
