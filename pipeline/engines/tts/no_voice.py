"""The voice engine `none`: answers come as text, and each sentence says that this server has no voice."""

from collections.abc import AsyncGenerator
from pathlib import Path

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes, wished
from schemas.errors import EngineFailed
from schemas.languages import ANY
from schemas.settings import TextToSpeechSettings


class NoVoice:
    """Satisfies TextToSpeech without a model. Servers elsewhere (`providers`, `fallback`) can still speak."""

    sample_rate = 22_050

    def __init__(self, voice: str) -> None:
        self.voices: tuple[str, ...] = (voice,)
        self.languages = {voice: (ANY,)}

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`."""
        return wished(delivery)

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """Raises EngineFailed before any sound; a text without words is silence, as with every engine."""
        if any(letter.isalnum() for letter in text):
            raise EngineFailed("this server has no voice (text_to_speech.engine is none): read the text")
        return
        yield b""  # an async generator

    def check(self) -> None:
        """There is nothing that could stop."""

    async def aclose(self) -> None:
        """Nothing to give back."""


def build(settings: TextToSpeechSettings, cache: Path) -> NoVoice:
    """The registry's factory. Its voice has the packaged one's name: sessions' defaults stay good."""
    return NoVoice("joe")
