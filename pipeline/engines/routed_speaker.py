"""Several speakers as one: the chosen provider speaks, or else the next one of the fallback order."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain

from pipeline.core.clock import Clock, SystemClock
from pipeline.engines.encoding_speaker import EncodingSpeaker
from pipeline.engines.ports import (
    AS_CONFIGURED,
    EngineResult,
    OpusChunk,
    Speaker,
    Stream,
    TextToSpeech,
    WordTimes,
)
from pipeline.engines.registry import build_speech_provider
from pipeline.engines.routed_language_model import Routed, RoutedStream, Target, provider_retry
from schemas.errors import EngineError, EngineFailed
from schemas.settings import TextToSpeechSettings
from schemas.settings.provider_settings import LOCAL


class RoutedSpeaker(Routed[Speaker]):
    """Satisfies Speaker. The next provider is asked only as long as there was no sound of the sentence.

    A provider's last error is raised as EngineFailed, since it was retried here already; an error of the
    voice in this server is raised as it is.
    """

    def __init__(self, targets: Sequence[Target[Speaker]], fallback: tuple[str, ...]) -> None:
        super().__init__(targets, fallback, field="tts_provider")

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(self.providers.values())))

    @property
    def providers(self) -> Mapping[str, tuple[str, ...]]:
        return {name: target.engine.voices for name, target in self._targets.items()}

    def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> Stream[WordTimes | OpusChunk]:
        """See `Speaker.speak`. A voice that a fallback does not have becomes its default voice."""
        first = self.target(delivery.provider)

        def ask(target: Target[Speaker]) -> Stream[WordTimes | OpusChunk]:
            known = target is first or voice in target.engine.voices
            chosen = voice if known else target.default_voice
            return target.engine.speak(text, voice=chosen, speed=speed, delivery=delivery)

        return RoutedStream(self.route(first), ask, _verdict)


def _verdict(target: Target[Speaker], error: EngineError, reasons: Sequence[str]) -> EngineError:
    return error if target.name == LOCAL else EngineFailed(" ".join(reasons))


async def open_speaker(
    local: TextToSpeech, settings: TextToSpeechSettings, *, clock: Clock | None = None
) -> RoutedSpeaker:
    """Opens `local` and all configured providers as one speaker, which closes them all.

    Providers that are down do not keep it from opening.
    """
    clock = clock or SystemClock()
    speaker: Speaker = EncodingSpeaker(local, settings)
    targets = [Target(LOCAL, speaker, default_voice=local.voices[0])]
    voices = {name: build_speech_provider(name, one) for name, one in settings.providers.items()}
    await asyncio.gather(*(voice.ask_voices() for voice in voices.values()))
    for name, one in settings.providers.items():
        speaker = EncodingSpeaker(voices[name], settings)
        targets.append(Target(name, speaker, provider_retry(one, clock), default_voice=one.default_voice))
    return RoutedSpeaker(targets, settings.fallback)
