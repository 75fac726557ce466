"""The client of a speech server: a request per sentence, sound as it comes, errors in our own words."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

import av
import httpx

from pipeline.engines.http.http_provider import Provider, body_of
from pipeline.engines.tts.leading_silence import Onset
from pipeline.engines.tts.response_audio import BadSound, CutShort, decoder_of
from schemas.errors import EngineError, EngineFailed
from schemas.settings.provider_settings import SpeechProviderSettings

_LONGEST_S: Final = 900
"""Sound of one sentence; a server that sends more has lost its way."""
_FIRST_MS: Final = 40
_LATER_MS: Final = 200
"""Sound is passed on in pieces of at least so long, because each becomes an event: the first one soon."""
_ASKING_S: Final = 3.0


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
            raise self._told(error, timeout_s, heard) from error

    async def voices(self) -> tuple[str, ...]:
        """The names that the server gives at /v1/audio/voices; none if it gives none."""
        try:
            response = await self._provider.http.get(
                self._settings.url + "/v1/audio/voices", timeout=_ASKING_S
            )
            listed = response.json()["voices"] if response.is_success else []
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
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
                    waiting += onset.push(await asyncio.to_thread(decoder.feed, data))
                    if len(waiting) >= enough:
                        total += len(waiting)
                        yield waiting
                        waiting, enough = b"", 2 * rate * _LATER_MS // 1_000
                    if total > most:
                        raise BadSound("does not come to an end")  # noqa: TRY301
            waiting += onset.push(await asyncio.to_thread(decoder.finish)) + onset.finish()
        except BadSound as error:
            raise EngineFailed(f"{name} {self._provider.hidden(str(error))}.") from error
        except av.error.FFmpegError as error:
            raise EngineFailed(f"{name} sent damaged sound.") from error
        if waiting:
            yield waiting
        elif total == 0:
            raise CutShort

    def _told(self, error: Exception, timeout_s: float, heard: bool) -> EngineError:
        if heard:
            return EngineFailed(f"{self._provider.name} broke off in the middle of a sentence.")
        return self._provider.broke_off(error, timeout_s)


def _name_of(voice: Any) -> str:
    """Of one entry of a list of voices, which every server writes in its own way."""
    if isinstance(voice, dict):
        voice = next((voice[key] for key in ("id", "voice_id", "name", "filename") if voice.get(key)), "")
    return voice if isinstance(voice, str) and len(voice) <= 64 else ""
