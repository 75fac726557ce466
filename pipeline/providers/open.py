"""From settings to the speaker and the language model that they describe."""

import asyncio

from pipeline.audio.speaker import EncodingSpeaker
from pipeline.clock import Clock, SystemClock
from pipeline.engines.base import LanguageModel, TextToSpeech
from pipeline.engines.registry import build_chat_provider, build_speech_provider
from pipeline.providers.answering import ChainLanguageModel, GuardedLanguageModel, Writer
from pipeline.providers.breaker import Breaker
from pipeline.providers.chain import ChainSpeaker, GuardedSpeaker, Link
from pipeline.providers.guard import Guard
from schemas.providers import LOCAL, ChatProviderSettings, SpeechProviderSettings
from schemas.settings import LanguageModelSettings, TextToSpeechSettings


async def open_speaker(
    local: TextToSpeech, settings: TextToSpeechSettings, *, clock: Clock | None = None
) -> ChainSpeaker:
    """`local` and all configured providers as one speaker, which closes them all.

    Providers that are down do not keep it from opening.
    """
    clock = clock or SystemClock()
    links = [Link(LOCAL, EncodingSpeaker(local, settings), local.voices[0])]
    voices = {name: build_speech_provider(name, one) for name, one in settings.providers.items()}
    await asyncio.gather(*(voice.ask_voices() for voice in voices.values()))
    for name, one in settings.providers.items():
        speaker = GuardedSpeaker(_guard(name, one, clock), EncodingSpeaker(voices[name], settings))
        links.append(Link(name, speaker, one.default_voice))
    return ChainSpeaker(links, settings.fallback)


def open_language_model(
    local: LanguageModel, settings: LanguageModelSettings, *, clock: Clock | None = None
) -> ChainLanguageModel:
    """`local` and all configured providers as one language model, which closes them all.

    Providers are connected when they are first asked.
    """
    clock = clock or SystemClock()
    writers = [Writer(LOCAL, local)]
    for name, one in settings.providers.items():
        model = GuardedLanguageModel(_guard(name, one, clock), build_chat_provider(name, one))
        writers.append(Writer(name, model, one.choices))
    return ChainLanguageModel(writers, settings.fallback)


def _guard(name: str, settings: SpeechProviderSettings | ChatProviderSettings, clock: Clock) -> Guard:
    return Guard(name, Breaker(settings.breaker_failures, settings.breaker_reset_s, clock), settings.attempts)
