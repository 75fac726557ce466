"""The WebSocket of a media stream: messages in and out, bounded."""

from contextlib import suppress
from typing import Any, Final

import anyio
from fastapi import WebSocket, WebSocketDisconnect

from deployments.faces.telephone.media_messages import StreamMessage, media, read_message, written
from deployments.web.ws_send import GONE, deliver
from pipeline.core.clock import Clock
from schemas.errors import InputError
from schemas.settings.limit_settings import TelephoneProvider

_BURST: Final = 512 * 1024
_PER_S: Final = 64 * 1024
"""Characters of messages per second, after the first `_BURST`: frames of 20 ms take 20,000."""


class MediaSocket:
    """Of one media stream, whose name `stream` is known once it has begun."""

    def __init__(self, socket: WebSocket, provider: TelephoneProvider, clock: Clock) -> None:
        self.stream = ""
        self._socket = socket
        self._provider: TelephoneProvider = provider
        self._clock = clock
        self._sending = anyio.Lock()
        self._read, self._began = 0, clock.monotonic()

    async def receive(self) -> StreamMessage | None:
        """The next message. Raises InputError, also where too much comes, or WebSocketDisconnect."""
        message = await self._socket.receive()  # not receive_text, which reads nothing after a failed send
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", GONE))
        text = message.get("text") or ""
        self._read += len(text)
        if self._read > _BURST + _PER_S * (self._clock.monotonic() - self._began):
            raise InputError("more comes than sound needs", field="media.payload")
        return read_message(text)

    async def send(self, kind: str, data: str | bytes) -> None:
        """Send `media` with its payload, `mark` with its name, or `clear`, whole. Raises TimeoutError.

        Does not return where the provider is gone: what came before, perhaps `stop`, is still to be read.
        """
        if isinstance(data, bytes):
            text = media(self._provider, self.stream, data)
        else:
            more: dict[str, Any] = {"mark": {"name": data}} if kind == "mark" else {}
            text = written(self._provider, self.stream, kind, **more)
        async with self._sending:
            try:
                await deliver(self._socket.send_text, text)
            except WebSocketDisconnect:
                await anyio.sleep_forever()

    async def close(self, code: int) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await deliver(self._socket.close, code)
