"""Sound and failures of a speaker."""

from contextlib import aclosing

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, Speaker, WordTimes
from rhapsode.testing.text_to_speech_contract import SENTENCE

CLOUD = EngineResult(provider="cloud")


async def heard(
    speaker: Speaker, delivery: EngineResult = AS_CONFIGURED, voice: str = "joe", text: str = SENTENCE
) -> list[WordTimes | OpusChunk]:
    async with aclosing(speaker.speak(text, voice=voice, delivery=delivery)) as items:
        return [item async for item in items]
