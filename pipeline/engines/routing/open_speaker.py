"""From settings to the speaker that they describe."""

import asyncio

from pipeline.core.clock import Clock, SystemClock
from pipeline.engines.encoding_speaker import EncodingSpeaker
from pipeline.engines.ports import TextToSpeech
from pipeline.engines.registry import build_speech_provider
from pipeline.engines.routing.retry import guard_for
from pipeline.engines.routing.speaker_chain import ChainSpeaker, GuardedSpeaker, Link
from schemas.settings import TextToSpeechSettings
from schemas.settings.provider_settings import LOCAL


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
        speaker = GuardedSpeaker(guard_for(name, one, clock), EncodingSpeaker(voices[name], settings))
        links.append(Link(name, speaker, one.default_voice))
    return ChainSpeaker(links, settings.fallback)
