"""A microphone on a followed session: sound that is not acknowledged is sent again on the next connection."""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from typing import Any, Final, Self

import websockets
from websockets.asyncio.client import ClientConnection

from rhapsode.connection import ApiError, Event
from rhapsode.frame_batcher import FrameBatcher

_KEPT_S: Final = 30
"""Unacknowledged sound; older sound is dropped first."""


class AudioInput:
    """Satisfies Attachment. Sends the sound of one input; times are milliseconds from its beginning."""

    def __init__(self, sound: AsyncIterable[bytes], rate: int) -> None:
        self._sound = sound
        self._rate = rate
        self._input = str(uuid.uuid4())
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._first = 0
        """Position of the oldest byte kept."""
        self._sent = 0
        """Position of the next byte to send."""
        self._ended = False
        self._socket: ClientConnection | None = None
        self._ready = False
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._send())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def connected(self, socket: ClientConnection) -> None:
        """Opens the input on the new connection; sound follows when the server says from where on."""
        self._socket, self._ready = socket, False
        self._wake()

    def told(self, frame: Mapping[str, Any]) -> None:
        """Takes `input.ready` and `input.ack`. Raises ApiError, and what reading the sound raised."""
        match frame["type"]:
            case "input.ready":
                self._sent, self._ready = max(self._first, self._position(frame["from_ms"])), True
                self._wake()
            case "input.ack":
                self._forget(self._position(frame["ms"]))
            case "error":
                raise ApiError(frame["message"], code=frame["code"], field=frame.get("field"))
            case _:
                pass
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def is_closed_by(self, event: Event) -> bool:
        """Whether the event ends this input."""
        return event.type == "input.closed" and event.data["input"] == self._input

    def _position(self, ms: int) -> int:
        return ms * self._rate // 1_000 * 2

    def _ms(self, position: int) -> int:
        return position // 2 * 1_000 // self._rate

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _forget(self, position: int) -> None:
        while self._kept and self._first + len(self._kept[0]) <= position:
            size = len(self._kept.popleft())
            self._first += size
            self._kept_bytes -= size

    async def _read(self) -> None:
        batcher = FrameBatcher(self._rate)
        async for pcm in self._sound:
            self._keep(batcher.push(pcm))
        self._ended = True
        self._keep(batcher.take())
        self._wake()

    def _keep(self, pcm: bytes) -> None:
        if not pcm:
            return
        self._kept.append(pcm)
        self._kept_bytes += len(pcm)
        while self._kept_bytes > _KEPT_S * self._rate * 2:
            self._forget(self._first + len(self._kept[0]))
        self._sent = max(self._sent, self._first)
        self._wake()

    async def _send(self) -> None:
        opened: ClientConnection | None = None
        closed: ClientConnection | None = None
        while True:
            news, socket = self._news, self._socket
            with suppress(websockets.ConnectionClosed):  # the next connection goes on
                if socket is not None and opened is not socket:
                    opened = socket
                    await socket.send(json.dumps(self._opening()))
                elif socket is not None and self._ready and (pcm := self._next()):
                    self._sent += len(pcm)
                    await socket.send(pcm)
                    continue
                elif socket is not None and self._ready and self._ended and closed is not socket:
                    closed = socket
                    await socket.send(json.dumps({"type": "input.close", "ref": "close"}))
            if news is self._news:
                await news.wait()

    def _opening(self) -> dict[str, Any]:
        return {
            "type": "input.open",
            "input": self._input,
            "format": "pcm16",
            "rate": self._rate,
            "at_ms": self._ms(self._first),
            "ref": "open",
        }

    def _next(self) -> bytes:
        """Up to 500 ms of sound that has not been sent on this connection."""
        at = self._first
        for pcm in self._kept:
            if at + len(pcm) > self._sent:
                return pcm[self._sent - at :][: self._rate]
            at += len(pcm)
        return b""
