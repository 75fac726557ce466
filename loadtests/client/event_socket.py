"""A session's WebSocket, and when each of its frames arrived."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """An event or another frame, when it came (monotonic nanoseconds), and its sound."""

    at_ns: int
    event: dict[str, Any]
    sound: bytes = b""

    @property
    def at_s(self) -> float:
        return self.at_ns / 1e9

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def turn(self) -> int | None:
        turn: int | None = self.event.get("turn")
        return turn

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event.get("data", {})
        return data

    def recorded_s(self, epoch_s: float) -> float:
        """When it was recorded, on our clock; `epoch_s` is the epoch on it."""
        return epoch_s + float(self.event["ts"]) / 1_000


def split_frame(frame: str | bytes) -> tuple[dict[str, Any], bytes]:
    """The event of a frame, and the sound behind it."""
    if isinstance(frame, str):
        return orjson.loads(frame), b""
    size = int.from_bytes(frame[:4], "big") + 4
    return orjson.loads(frame[4:size]), frame[size:]


class EventSocket:
    """Sends messages; frames come out of `frames` with their times."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def ask(self, prompt: str) -> int:
        """Send a prompt; when it was sent (monotonic nanoseconds)."""
        return await self.send({"type": "turn.request", "prompt": prompt})

    async def send(self, message: dict[str, Any]) -> int:
        sent = monotonic_ns()
        await self._socket.send(orjson.dumps(message).decode())
        return sent

    async def send_sound(self, pcm: bytes) -> None:
        """For the open audio input, at any pace."""
        await self._socket.send(pcm)

    async def frames(self) -> AsyncGenerator[TimedFrame, None]:
        async for frame in self._socket:
            now = monotonic_ns()
            yield TimedFrame(now, *split_frame(frame))

    async def first(self, kind: str) -> TimedFrame:
        """The next frame of this type; the ones before are dropped. Raises RuntimeError on an error frame."""
        async for frame in self.frames():
            if frame.type == kind:
                return frame
            if frame.type in ("error", "turn.failed"):
                raise RuntimeError(str(frame.event))
        raise RuntimeError(f"the connection ended before any {kind}")

    def cut(self) -> None:
        """Drop the connection without a goodbye."""
        self._socket.transport.abort()
