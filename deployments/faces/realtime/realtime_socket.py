"""Transport of a Realtime connection's events, and the WebSocket that is one."""

from contextlib import suppress
from typing import Any, Final, Protocol

import anyio
import orjson
from fastapi import WebSocket, WebSocketDisconnect

from deployments.web import problem_details
from deployments.web.error_shapes.realtime_error_events import error_event
from deployments.web.ws_drain import deliver
from schemas.errors import RhapsodeError
from schemas.realtime.client_events import APPEND_CHARS

_NORMAL: Final = 1000


class Transport(Protocol):
    """Carries events both ways, each whole and in order, until one side leaves."""

    longest: int
    """Characters of a client's event."""

    async def send(self, event: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""

    async def receive(self) -> str | bytes | None:
        """Returns the client's next event; None: it left."""

    async def close(self) -> None: ...

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""


class RealtimeSocket:
    """One accepted WebSocket."""

    longest = APPEND_CHARS + 1_000

    def __init__(self, websocket: WebSocket) -> None:
        self._socket = websocket
        self._sending = anyio.Lock()

    async def send(self, event: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""
        text = orjson.dumps(event).decode()
        async with self._sending:
            await deliver(self._socket.send_text, text)

    async def receive(self) -> str | bytes | None:
        """Returns the client's next event; None: it left."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def close(self, code: int = _NORMAL) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await deliver(self._socket.close, code)

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""
        with suppress(WebSocketDisconnect, TimeoutError):
            await self.send(error_event(error))
            await self.close(problem_details.close_code(error))
