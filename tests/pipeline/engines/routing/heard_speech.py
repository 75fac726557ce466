"""Sound and failures of a speaker."""

from contextlib import aclosing

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, Speaker, SpokenBy, WordTimes
from rhapsode.testing.text_to_speech_contract import SENTENCE

CLOUD = EngineResult(provider="cloud")


async def heard(
    speaker: Speaker,
    delivery: EngineResult = AS_CONFIGURED,
    voice: str = "joe",
    text: str = SENTENCE,
    speed: float = 1.0,
) -> list[WordTimes | OpusChunk]:
    async with aclosing(speaker.speak(text, voice=voice, speed=speed, delivery=delivery)) as items:
        made = [item async for item in items]
    assert isinstance(made[0], SpokenBy)
    return [item for item in made[1:] if not isinstance(item, SpokenBy)]
