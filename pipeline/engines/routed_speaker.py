"""Speakers as a replica holds them: encoded to Opus, and several as one in the order of their fallback."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import chain
from typing import Final

from pipeline.audio.opus import CHUNK_MS, DELAY_MS, PACKET_MS, OpusEncoder, frame
from pipeline.core.clock import Clock, SystemClock
from pipeline.engines.ports import (
    AS_CONFIGURED,
    EngineResult,
    OpusChunk,
    Providers,
    SpokenBy,
    Stream,
    TextToSpeech,
    Voiced,
    WordTimes,
)
from pipeline.engines.registry import build_speech_provider
from pipeline.engines.routed import Routed, RoutedStream, Target, provider_retry
from pipeline.engines.tts.pauses import paused
from schemas.errors import ElementNotSpoken, EngineError, EngineFailed, LanguageNotSpoken
from schemas.languages import language_name, speaks
from schemas.settings import TextToSpeechSettings
from schemas.settings.provider_settings import LOCAL

_MOST: Final = CHUNK_MS // PACKET_MS // 2
"""Packets of a chunk. Twice as many may be imported, but would not fit into an event at every bitrate."""
_SHORT_MS: Final = 250
"""So much sound takes half a millisecond on the loop; a thread that has slept takes longer to begin."""


ELEMENTS: Final = {"phonemes": "phoneme"}
"""Elements of SSML by the fields of a delivery that a voice must follow for them."""


class EncodingSpeaker:
    """Speaks as soon as the voice does: no chunk waits for the next one.

    The encoder is always 6.5 ms behind, so a last packet remains when the voice has ended, and `last` can be
    said of it without holding anything back.
    """

    def __init__(self, tts: TextToSpeech, settings: TextToSpeechSettings, name: str = LOCAL) -> None:
        self._tts = tts
        self._name = name
        self._bitrate = settings.bitrate

    @property
    def voices(self) -> tuple[str, ...]:
        return self._tts.voices

    @property
    def providers(self) -> Providers:
        return {LOCAL: self._tts.languages}

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[Voiced, None]:
        """See `Speaker.speak`."""
        encoder = OpusEncoder(self._tts.sample_rate, self._bitrate)
        sound = self._tts.synthesize(text, voice=voice, speed=speed, delivery=delivery)
        # Held back until there is sound: a voice that makes none must leave nothing.
        made: list[Voiced] = [SpokenBy(voice, self._name, self._tts.ignored(delivery))]
        async with aclosing(paused(sound, self._tts.sample_rate, delivery.pause_ms)) as parts:
            async for part in parts:
                if isinstance(part, WordTimes):
                    made.append(_delayed(part))
                elif packets := await self._encoded(encoder, part):
                    made.extend(_chunks(packets))
                    for item in made:
                        yield item
                    made = []
        if packets := encoder.finish():
            made.extend(_chunks(packets, last=True))
            for item in made:
                yield item

    async def _encoded(self, encoder: OpusEncoder, pcm: bytes) -> list[bytes]:
        if len(pcm) <= 2 * self._tts.sample_rate * _SHORT_MS // 1_000:
            return encoder.encode(pcm)
        return await asyncio.to_thread(encoder.encode, pcm)

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """As `TextToSpeech.ignored`."""
        return self._tts.ignored(delivery)

    async def aclose(self) -> None:
        await self._tts.aclose()


def _chunks(packets: list[bytes], *, last: bool = False) -> Iterator[OpusChunk]:
    """The packets as one chunk, or as several where a voice gave very much at once."""
    for start in range(0, len(packets), _MOST):
        part, end = packets[start : start + _MOST], start + _MOST >= len(packets)
        yield OpusChunk(frame(part), ms=PACKET_MS * len(part), last=last and end)


def _delayed(times: WordTimes) -> WordTimes:
    """Word times of the engine's audio, told of the decoded audio."""
    return WordTimes(
        tuple(
            replace(word, start_ms=word.start_ms + DELAY_MS, end_ms=word.end_ms + DELAY_MS)
            for word in times.words
        )
    )


class RoutedSpeaker(Routed[EncodingSpeaker]):
    """Satisfies Speaker. The next provider is asked only as long as there was no sound of the sentence.

    A provider's last error is raised as EngineFailed, since it was retried here already; an error of the
    voice in this server is raised as it is.
    """

    def __init__(self, targets: Sequence[Target[EncodingSpeaker]], fallback: tuple[str, ...]) -> None:
        super().__init__(targets, fallback, field="tts_provider")

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(self.providers.values())))

    @property
    def providers(self) -> Providers:
        return {name: _languages(target) for name, target in self._targets.items()}

    def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> Stream[Voiced]:
        """See `Speaker.speak`. A voice that a fallback does not have becomes its default voice.

        A sentence in a language that the voice does not speak goes to another voice of the same provider that
        does, then to the fallbacks that do, then to any other provider. Raises LanguageNotSpoken if there is
        none, and ElementNotSpoken if those that do cannot follow what is `required`.
        """
        first = self.target(delivery.provider)
        route = {target.name: self._voice_of(target, voice, delivery) for target in self.route(first)}
        if not any(route.values()):
            route = {target.name: self._voice_of(target, voice, delivery) for target in self.targets}
        able = [name for name, chosen in route.items() if chosen]
        if not able:
            raise LanguageNotSpoken(f"No voice here speaks {language_name(str(delivery.language))}.")

        lacking = {
            name: [
                field for field in self.target(name).engine.ignored(delivery) if field in delivery.required
            ]
            for name in able
        }
        able = [name for name in able if not lacking[name]]
        if not able:
            element = ELEMENTS[next(iter(lacking.values()))[0]]
            raise ElementNotSpoken(f"No voice here that is asked for this sentence knows <{element}>.")

        def ask(target: Target[EncodingSpeaker]) -> Stream[Voiced]:
            chosen = route[target.name]
            return target.engine.speak(text, voice=chosen, speed=speed, delivery=delivery)

        return RoutedStream([self.target(name) for name in able], ask, _verdict)

    def _voice_of(self, target: Target[EncodingSpeaker], wished: str, delivery: EngineResult) -> str:
        """The voice of this target that is to speak; empty if none of them speaks the language."""
        known = target.name == (delivery.provider or LOCAL) or wished in target.engine.voices
        first = wished if known else target.default_voice
        if delivery.language is None:
            return first
        languages = _languages(target)
        usual = delivery.usual_language
        for voice in (first, target.default_voice, *languages):
            told = languages.get(voice) or (() if usual is None else (usual,))
            if voice not in languages or speaks(told, delivery.language):
                return voice
        return ""


def _languages(target: Target[EncodingSpeaker]) -> Mapping[str, tuple[str, ...]]:
    """Of one engine's voices, which knows itself as this server's."""
    return target.engine.providers[LOCAL]


def _verdict(target: Target[EncodingSpeaker], error: EngineError, reasons: Sequence[str]) -> EngineError:
    return error if target.name == LOCAL else EngineFailed(" ".join(reasons))


async def open_speaker(
    local: TextToSpeech, settings: TextToSpeechSettings, *, clock: Clock | None = None
) -> RoutedSpeaker:
    """Opens `local` and all configured providers as one speaker, which closes them all.

    Providers that are down do not keep it from opening.
    """
    clock = clock or SystemClock()
    speaker = EncodingSpeaker(local, settings)
    targets = [Target(LOCAL, speaker, default_voice=local.voices[0])]
    voices = {name: build_speech_provider(name, one) for name, one in settings.providers.items()}
    await asyncio.gather(*(voice.ask_voices() for voice in voices.values()))
    for name, one in settings.providers.items():
        speaker = EncodingSpeaker(voices[name], settings, name)
        targets.append(Target(name, speaker, provider_retry(one, clock), default_voice=one.default_voice))
    return RoutedSpeaker(targets, settings.fallback)
