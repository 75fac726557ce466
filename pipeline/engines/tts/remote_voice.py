"""A voice behind HTTP; what differs from kind to kind of server is one function."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import av
import httpx
import numpy as np

from pipeline.engines.http.http_provider import Provider, body_of
from pipeline.engines.http.server_events import BadAnswer, parsed, whole
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, WordTimes, wished
from pipeline.engines.tts.response_audio import BadSound, CutShort, EventDecoder, ResponseDecoder, decoder_of
from pipeline.engines.tts.tempo import at_tempo
from schemas.errors import EngineError, EngineFailed, UnknownVoice
from schemas.settings.provider_settings import SpeechProviderSettings

_LONGEST_S: Final = 900
"""Sound of one sentence; a server that sends more has lost its way."""
_FIRST_MS: Final = 40
_LATER_MS: Final = 200
"""Sound is passed on in pieces of at least so long, because each becomes an event: the first one soon."""
_ASKING_S: Final = 3.0
_SHORT: Final = 8_192
"""Bytes that are decoded on the loop: a thread that has slept takes longer to begin."""


class SpeechClient:
    """Raises EngineBusy and EngineDead before the first sound, and EngineFailed then or later.

    Closing a stream closes its connection at once. The key is in no message and in no `repr`.
    """

    def __init__(self, name: str, settings: SpeechProviderSettings) -> None:
        self._provider = Provider(name, settings.api_key)
        self._settings = settings

    async def sound(
        self, path: str, body: Mapping[str, Any], timeout_s: float
    ) -> AsyncGenerator[bytes, None]:
        """The answer to `body` as PCM16 at the settings' rate, in pieces of some length."""
        heard = False
        try:
            request = self._provider.http.stream(
                "POST", self._settings.url + path, json=body, timeout=timeout_s
            )
            async with request as response:
                await self._provider.refuse(response)
                async with aclosing(self._decoded(response)) as pieces:
                    async for piece in pieces:
                        heard = True
                        yield piece
        except (httpx.HTTPError, CutShort) as error:
            raise self._error(error, timeout_s, heard) from error

    async def voices(self) -> tuple[str, ...]:
        """The names that the server gives at /v1/audio/voices; none if it gives none."""
        try:
            request = self._provider.http.stream(
                "GET", f"{self._settings.url}/v1/audio/voices", timeout=_ASKING_S
            )
            async with request as response:
                await self._provider.refuse(response)
                listed = parsed(await whole(body_of(response)))["voices"]
        except (httpx.HTTPError, EngineError, BadAnswer, KeyError):
            return ()
        names = [_name_of(voice) for voice in listed] if isinstance(listed, list) else []
        return tuple(name for name in names if name)

    async def aclose(self) -> None:
        await self._provider.aclose()

    async def _decoded(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        name, rate = self._provider.name, self._settings.sample_rate
        most, total, waiting = 2 * rate * _LONGEST_S, 0, b""
        enough = 2 * rate * _FIRST_MS // 1_000
        try:
            decoder, onset = decoder_of(response.headers.get("content-type", ""), rate), Onset(rate)
            async with aclosing(body_of(response)) as parts:
                async for data in parts:
                    waiting += onset.push(await _fed(decoder, data))
                    if len(waiting) >= enough:
                        total += len(waiting)
                        yield waiting
                        waiting, enough = b"", 2 * rate * _LATER_MS // 1_000
                    if total > most:
                        raise BadSound("does not come to an end")  # noqa: TRY301
            waiting += onset.push(decoder.finish()) + onset.finish()
        except BadSound as error:
            raise EngineFailed(f"{name} {self._provider.hidden(str(error))}.") from error
        except av.error.FFmpegError as error:
            raise EngineFailed(f"{name} sent damaged sound.") from error
        if waiting:
            yield waiting
        elif total == 0:
            raise CutShort

    def _error(self, error: Exception, timeout_s: float, heard: bool) -> EngineError:
        if heard:
            return EngineFailed(f"{self._provider.name} broke off in the middle of a sentence.")
        return self._provider.broke_off(error, timeout_s)


async def _fed(decoder: ResponseDecoder, data: bytes) -> bytes:
    if len(data) > _SHORT or isinstance(decoder, EventDecoder):  # an event is decoded when it is whole
        return await asyncio.to_thread(decoder.feed, data)
    return decoder.feed(data)


def _name_of(voice: Any) -> str:
    """Of one entry of a list of voices, which every server writes in its own way."""
    if isinstance(voice, dict):
        voice = next((voice[key] for key in ("id", "voice_id", "name", "filename") if voice.get(key)), "")
    return voice if isinstance(voice, str) and len(voice) <= 64 else ""


_QUIET: Final = 104
"""Of 32,767: 50 dB below full scale, softer than any beginning of a word that can be heard."""
_LEAD_MS: Final = 20
"""Sound that is kept before the first louder sample: soft consonants begin before it."""
_MOST_CUT_MS: Final = 500
"""A voice that is silent for longer may mean it."""


class Onset:
    """Of one sentence. Pure: how the sound comes in pieces changes nothing."""

    def __init__(self, rate: int) -> None:
        self._lead = rate * _LEAD_MS // 1_000
        self._most = rate * _MOST_CUT_MS // 1_000
        self._held: bytes | None = b""
        """All that came before the first sound; None: there was some."""

    def push(self, pcm: bytes) -> bytes:
        """16-bit mono PCM, whole samples; what is to be heard now."""
        if self._held is None:
            return pcm
        begins = len(self._held) // 2
        self._held += pcm
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > _QUIET)
        if not loud.size and len(self._held) // 2 < self._most + self._lead:
            return b""
        first = begins + int(loud[0]) if loud.size else len(self._held) // 2
        cut = max(0, min(first - self._lead, self._most))
        heard, self._held = self._held[2 * cut :], None
        return heard

    def finish(self) -> bytes:
        """Nothing more comes: a sentence that was silent all through is as it was sent."""
        held, self._held = self._held, None
        return held or b""


Form = Callable[[SpeechProviderSettings, str, str, float], tuple[str, dict[str, Any]]]
"""(settings, text, voice, speed) to the path and the body of a request."""
Manner = Callable[[EngineResult], dict[str, Any]]
"""Parameters of a request for a style and instructions; empty where the server has none for them."""
_SPEAKABLE: Final = re.compile(r"\w")


class RemoteVoice:
    """Satisfies TextToSpeech. It does not know when each word is heard, so no WordTimes come."""

    def __init__(
        self,
        name: str,
        settings: SpeechProviderSettings,
        form: Form,
        *,
        manner: Manner = lambda _: {},
        own_speed: bool = False,
    ) -> None:
        """`own_speed`: its server knows one speed only, and its sound is made faster or slower here."""
        self._manner = manner
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

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        told = self._settings.voice_languages
        return {voice: told.get(voice, self._settings.languages) for voice in self._voices}

    async def ask_voices(self) -> None:
        """Let the server name its voices, where the settings do not; a server that is down names none."""
        if not self._settings.voices:
            self._voices = tuple(dict.fromkeys((*self._voices, *await self._client.voices())))

    def ignored(self, delivery: EngineResult) -> tuple[str, ...]:
        """See `TextToSpeech.ignored`: what adds no parameter to a request changes nothing."""
        known = [
            name
            for name in ("style", "instructions")
            if (wish := getattr(delivery, name)) and self._params(replace(AS_CONFIGURED, **{name: wish}))
        ]
        return wished(delivery, *known)

    def _params(self, delivery: EngineResult) -> dict[str, Any]:
        own = self._settings.styles.get(delivery.style) if delivery.style else None
        if own is None:
            return self._manner(delivery)
        return self._manner(replace(delivery, style=None)) | own

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
        body = ours | self._settings.extra | self._params(delivery) | theirs
        self.open_streams += 1
        try:
            timeout_s = delivery.timeout_s or self._settings.timeout_s
            sound = at_tempo(
                self._client.sound(path, body, timeout_s), factor, self.sample_rate, asyncio.to_thread
            )
            async with aclosing(sound) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self.open_streams -= 1

    async def aclose(self) -> None:
        await self._client.aclose()
