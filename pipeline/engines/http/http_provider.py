"""Client of a provider: holds the connection and the key, and translates errors into our own."""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, cast

import httpx
from pydantic import SecretStr

from schemas.errors import (
    ContextTooLong,
    EngineBusy,
    EngineDead,
    EngineError,
    EngineFailed,
    SchemaInvalid,
)

_BUSY: Final = (429, 503)
_KEY_REFUSED: Final = (401, 403)
_REASONS: Final = (
    (re.compile("context_length_exceeded|exceed_context_size|maximum context length"), ContextTooLong),
    (re.compile("invalid_json_schema"), SchemaInvalid),
)
"""By codes and words of OpenAI, vLLM and llama.cpp."""
_MESSAGE_CHARS: Final = 200
_MESSAGE_BYTES: Final = 4_096
_CONNECTIONS: Final = 64
_KEPT_S: Final = 120.0
"""An idle connection stays open so long: people listen and think between two questions, and a new one takes a
few round trips before it can be asked anything."""


class Provider:
    """One server by the name that settings give it. Its key is in no message and in no `repr`."""

    def __init__(self, name: str, api_key: SecretStr | None) -> None:
        self.name = name
        self._key = api_key.get_secret_value() if api_key else ""
        headers = {"Accept-Encoding": "identity", "User-Agent": "rhapsode"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S)
        self.http = httpx.AsyncClient(headers=headers, limits=limits, follow_redirects=False)

    async def aclose(self) -> None:
        await self.http.aclose()

    async def refuse(self, response: httpx.Response) -> None:
        """Raise for every answer that is not 200, and for a compressed one: its length cannot be bounded."""
        status = response.status_code
        if is_compressed(response.headers):
            raise EngineFailed(f"{self.name} sent a compressed answer, which nobody asked for.")
        if status == httpx.codes.OK:
            return
        if status in _BUSY:
            raise EngineBusy(f"{self.name} is busy (HTTP {status}).")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise EngineDead(f"{self.name} is out of order (HTTP {status}).")
        if status in _KEY_REFUSED:
            raise EngineFailed(f"{self.name} does not let us in (HTTP {status}): look at its api_key.")
        message = await self._error_text(response)
        kind = next((kind for pattern, kind in _REASONS if pattern.search(message)), EngineFailed)
        with suppress(ValueError, RecursionError):  # plain text says it as well
            message = words_of(json.loads(message))
        raise kind(f"{self.name} refused this (HTTP {status}): {self.hidden(message)}")

    def broke_off(self, error: Exception, timeout_s: float) -> EngineError:
        """Describes a connection that gave nothing yet."""
        if isinstance(error, httpx.PoolTimeout):
            return EngineBusy(f"All {_CONNECTIONS} connections to {self.name} are taken.")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return EngineDead(f"{self.name} was silent for {timeout_s:g} s.")
        if isinstance(error, httpx.ConnectError):
            return EngineDead(f"{self.name} cannot be reached.")
        return EngineDead(f"{self.name} hung up before anything came of it.")

    def hidden(self, text: str) -> str:
        """On one line, of limited length, and without the key, should the server repeat it."""
        if self._key:
            text = text.replace(self._key, "***")
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= _MESSAGE_CHARS else text[: _MESSAGE_CHARS - 1] + "…"

    async def _error_text(self, response: httpx.Response) -> str:
        """The beginning of what the server answers."""
        body = b""
        async with aclosing(body_of(response)) as parts:
            async for part in parts:
                body += part
                if len(body) >= _MESSAGE_BYTES:
                    break
        return body[:_MESSAGE_BYTES].decode("utf-8", "replace")


def is_compressed(headers: Mapping[str, str]) -> bool:
    """Of an answer; it may become any length, whatever it has now."""
    return headers.get("content-encoding", "identity").lower() != "identity"


def body_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body as it comes; a generator, although it is declared as less."""
    return cast(AsyncGenerator[bytes, None], response.aiter_bytes())


def words_of(answer: Any) -> str:
    """Extracts the message of an error document: OpenAI's, FastAPI's, problem+json's or any other."""
    for name in ("error", "detail", "message", "msg"):
        if isinstance(answer, dict) and name in answer:
            return words_of(answer[name])
    if isinstance(answer, list) and answer:
        return words_of(answer[0])
    return answer if isinstance(answer, str) else json.dumps(answer)
