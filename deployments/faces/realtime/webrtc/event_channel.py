"""The data channel `oai-events` of a call, as a transport of a Realtime connection."""

from contextlib import suppress
from typing import Any, Final

import anyio
import orjson
from aiortc import RTCDataChannel
from fastapi import WebSocketDisconnect

from deployments.web.error_shapes.realtime_error_events import error_event
from deployments.web.ws_drain import GONE, SEND_S
from schemas.errors import RhapsodeError
from schemas.errors.realtime_errors import RealtimeInvalid

LABEL: Final = "oai-events"
_WAITING: Final = 1024 * 1024
"""Bytes that may wait for a slow client before the next event waits."""
_EVENTS: Final = 1_000
_BYTES: Final = 4 * 1024 * 1024
"""Events of a client that wait to be read, and their bytes; a client that sends more at once is cut off."""


class EventChannel:
    """One open channel. Its end is told as that of a WebSocket is, so that a connection need not know which
    of the two it has."""

    def __init__(self, channel: RTCDataChannel, message_bytes: int) -> None:
        self._channel = channel
        self.longest = message_bytes
        self._sending = anyio.Lock()
        self._room = anyio.Event()
        self._arrive, self._arrived = anyio.create_memory_object_stream[str | bytes](_EVENTS)
        self._unread = 0
        """Bytes that came and were not read."""
        self.received = 0
        """Events that came from the client."""
        channel.bufferedAmountLowThreshold = _WAITING // 2
        channel.on("bufferedamountlow", self._has_room)
        channel.on("message", self._take)
        channel.on("close", self.cut)

    def _has_room(self) -> None:
        self._room.set()

    def _take(self, message: str | bytes) -> None:
        self.received += 1
        self._unread += len(message)
        try:
            self._arrive.send_nowait(message)
        except anyio.WouldBlock:
            self._unread = _BYTES + 1
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return
        if self._unread > _BYTES:
            self._channel.close()
            self.cut()

    def cut(self) -> None:
        """Nothing more comes from the client."""
        self._arrive.close()
        self._room.set()

    async def send(self, event: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""
        text = orjson.dumps(event).decode()
        async with self._sending:
            with anyio.fail_after(SEND_S):
                while self._channel.bufferedAmount > _WAITING and self._channel.readyState == "open":
                    self._room = anyio.Event()
                    await self._room.wait()
            if self._channel.readyState != "open":
                raise WebSocketDisconnect(GONE)
            try:
                self._channel.send(text)
            except ValueError:  # the client said in its offer how long a message may be
                self._channel.send(orjson.dumps(error_event(_too_long(event))).decode())

    async def receive(self) -> str | bytes | None:
        """Returns the client's next event; None: it left."""
        try:
            message = await self._arrived.receive()
        except anyio.EndOfStream:
            return None
        self._unread -= len(message)
        return message

    async def close(self) -> None:
        self._channel.close()

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""
        with suppress(WebSocketDisconnect, TimeoutError, RhapsodeError):
            await self.send(error_event(error))
        self._channel.close()


def _too_long(event: dict[str, Any]) -> RealtimeInvalid:
    return RealtimeInvalid(
        f"The event {event['type']} with the number {event.get('sequence_number')} is longer than your data "
        "channel takes.",
        reason="event_too_large",
    )
