"""The client of a speech server: a request per sentence, sound as it comes, errors in our own words."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, cast

import av
import httpx

from pipeline.engines.sound import BadSound, CutShort, decoder_of
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed
from schemas.providers import SpeechProviderSettings

_BUSY: Final = (429, 503)
_KEY_REFUSED: Final = (401, 403)
_MESSAGE_CHARS: Final = 200
_MESSAGE_BYTES: Final = 4_096
_LONGEST_S: Final = 900
"""Sound of one sentence; a server that sends more has lost its way."""
_FIRST_MS: Final = 40
_LATER_MS: Final = 200
"""Sound is passed on in pieces of at least so long, because each becomes a fact: the first one soon."""
_CONNECTIONS: Final = 64
_ASKING_S: Final = 3.0


class SpeechClient:
    """Raises EngineBusy and EngineDead before the first sound, and EngineFailed then or later.

    Closing a stream closes its connection at once. The key is in no message and in no `repr`.
    """

    def __init__(self, name: str, settings: SpeechProviderSettings) -> None:
        self._name = name
        self._settings = settings
        self._key = settings.api_key.get_secret_value() if settings.api_key else ""
        headers = {"Accept-Encoding": "identity", "User-Agent": "rhapsode"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._http = httpx.AsyncClient(
            headers=headers, limits=httpx.Limits(max_connections=_CONNECTIONS), follow_redirects=False
        )

    async def sound(
        self, path: str, body: Mapping[str, Any], timeout_s: float
    ) -> AsyncGenerator[bytes, None]:
        """The answer to `body` as PCM16 at the settings' rate, in pieces of some length."""
        heard = False
        try:
            request = self._http.stream("POST", self._settings.url + path, json=body, timeout=timeout_s)
            async with request as response:
                await self._refuse(response)
                async with aclosing(self._decoded(response)) as pieces:
                    async for piece in pieces:
                        heard = True
                        yield piece
        except (httpx.HTTPError, CutShort) as error:
            raise self._told(error, timeout_s, heard) from error

    async def voices(self) -> tuple[str, ...]:
        """The names that the server gives at /v1/audio/voices; none if it gives none."""
        try:
            response = await self._http.get(self._settings.url + "/v1/audio/voices", timeout=_ASKING_S)
            listed = response.json()["voices"] if response.is_success else []
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return ()
        names = [_name_of(voice) for voice in listed] if isinstance(listed, list) else []
        return tuple(name for name in names if name)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _decoded(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        rate = self._settings.sample_rate
        most, total, waiting = 2 * rate * _LONGEST_S, 0, b""
        enough = 2 * rate * _FIRST_MS // 1_000
        try:
            decoder = decoder_of(response.headers.get("content-type", ""), rate)
            async with aclosing(_parts(response)) as parts:
                async for data in parts:
                    waiting += await asyncio.to_thread(decoder.feed, data)
                    if len(waiting) >= enough:
                        total += len(waiting)
                        yield waiting
                        waiting, enough = b"", 2 * rate * _LATER_MS // 1_000
                    if total > most:
                        raise BadSound("does not come to an end")  # noqa: TRY301
            waiting += await asyncio.to_thread(decoder.finish)
        except BadSound as error:
            raise EngineFailed(f"{self._name} {self._hidden(str(error))}.") from error
        except av.error.FFmpegError as error:
            raise EngineFailed(f"{self._name} sent damaged sound.") from error
        if waiting:
            yield waiting
        elif total == 0:
            raise CutShort

    async def _refuse(self, response: httpx.Response) -> None:
        """Raise for every answer that is no sound."""
        status = response.status_code
        if status == httpx.codes.OK:
            return
        if status in _BUSY:
            raise EngineBusy(f"{self._name} is busy (HTTP {status}).")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise EngineDead(f"{self._name} is out of order (HTTP {status}).")
        if status in _KEY_REFUSED:
            raise EngineFailed(f"{self._name} does not let us in (HTTP {status}): look at its api_key.")
        raise EngineFailed(f"{self._name} refused this (HTTP {status}): {await self._message(response)}")

    async def _message(self, response: httpx.Response) -> str:
        """The server's own words, shortened."""
        body = b""
        async with aclosing(_parts(response)) as parts:
            async for part in parts:
                body += part
                if len(body) >= _MESSAGE_BYTES:
                    break
        text = body[:_MESSAGE_BYTES].decode("utf-8", "replace")
        with suppress(ValueError):  # plain text says it as well
            text = _words_of(json.loads(text))
        return self._hidden(text)

    def _hidden(self, text: str) -> str:
        """On one line, of limited length, and without the key, should the server repeat it."""
        if self._key:
            text = text.replace(self._key, "***")
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= _MESSAGE_CHARS else text[: _MESSAGE_CHARS - 1] + "…"

    def _told(self, error: Exception, timeout_s: float, heard: bool) -> EngineError:
        if heard:
            return EngineFailed(f"{self._name} broke off in the middle of a sentence.")
        if isinstance(error, httpx.PoolTimeout):
            return EngineBusy(f"All {_CONNECTIONS} connections to {self._name} are taken.")
        if isinstance(error, httpx.TimeoutException):
            return EngineDead(f"{self._name} was silent for {timeout_s:g} s.")
        if isinstance(error, httpx.ConnectError):
            return EngineDead(f"{self._name} cannot be reached.")
        return EngineDead(f"{self._name} hung up before anything was heard.")


def _parts(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as it comes; a generator, although it is declared as less."""
    return cast(AsyncGenerator[bytes, None], response.aiter_bytes())


def _words_of(answer: Any) -> str:
    """What an error document says: OpenAI's, FastAPI's, problem+json's, or whatever it is."""
    for name in ("error", "detail", "message", "msg"):
        if isinstance(answer, dict) and name in answer:
            return _words_of(answer[name])
    if isinstance(answer, list) and answer:
        return _words_of(answer[0])
    return answer if isinstance(answer, str) else json.dumps(answer)


def _name_of(voice: Any) -> str:
    """Of one entry of a list of voices, which every server writes in its own way."""
    if isinstance(voice, dict):
        voice = next((voice[key] for key in ("id", "voice_id", "name", "filename") if voice.get(key)), "")
    return voice if isinstance(voice, str) and len(voice) <= 64 else ""
