"""A voice behind HTTP; what differs from kind to kind of server is one function."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes
from pipeline.engines.tts.speech_client import SpeechClient
from pipeline.engines.tts.tempo import at_tempo
from schemas.errors import UnknownVoice
from schemas.settings.provider_settings import SpeechProviderSettings

Form = Callable[[SpeechProviderSettings, str, str, float], tuple[str, dict[str, Any]]]
"""(settings, text, voice, speed) to the path and the body of a request."""
_SPEAKABLE: Final = re.compile(r"\w")


class RemoteVoice:
    """Satisfies TextToSpeech. It does not know when each word is heard, so no WordTimes come."""

    def __init__(
        self, name: str, settings: SpeechProviderSettings, form: Form, *, own_speed: bool = False
    ) -> None:
        """`own_speed`: its server knows one speed only, and its sound is made faster or slower here."""
        self._own_speed = own_speed
        self._client = SpeechClient(name, settings)
        self._settings = settings
        self._form = form
        self._voices = tuple(dict.fromkeys((settings.default_voice, *settings.voices)))
        self.open_streams = 0
        """Sentences being spoken."""

    @property
    def sample_rate(self) -> int:
        return self._settings.sample_rate

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voices

    async def ask_voices(self) -> None:
        """Let the server name its voices, where the settings do not; a server that is down names none."""
        if not self._settings.voices:
            self._voices = tuple(dict.fromkeys((*self._voices, *await self._client.voices())))

    async def synthesize(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | bytes, None]:
        """See `TextToSpeech.synthesize`. Closing hangs up."""
        if voice not in self._voices:
            known = ", ".join(self._voices)
            raise UnknownVoice(f"There is no voice {voice!r}; there is: {known}.", field="voice")
        if not _SPEAKABLE.search(text):
            return
        factor = speed if self._own_speed else 1.0
        path, ours = self._form(self._settings, text, voice, speed / factor)
        theirs = {name: value for name, value in delivery.extra.items() if name not in ours}
        body = ours | self._settings.extra | theirs
        self.open_streams += 1
        try:
            timeout_s = delivery.timeout_s or self._settings.timeout_s
            sound: AsyncGenerator[WordTimes | bytes, None] = self._client.sound(path, body, timeout_s)
            if factor != 1.0:
                sound = at_tempo(sound, factor, self.sample_rate, asyncio.to_thread)
            async with aclosing(sound) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self.open_streams -= 1

    async def aclose(self) -> None:
        await self._client.aclose()
