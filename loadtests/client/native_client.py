"""A measuring client of the native protocol: it notes when each frame arrived."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A frame, and when it came (monotonic nanoseconds)."""

    at_ns: int
    event: dict[str, Any]
    audio_bytes: int
    sound: bytes = b""


class NativeClient:
    """One user of one Rhapsode."""

    def __init__(self, url: str) -> None:
        self._url = url
        key = os.environ.get("RHAPSODE_KEY")
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=url, headers=self.headers, timeout=60)

    async def create(self, **settings: Any) -> str:
        answer = await self._http.post("/v1/sessions", json={"settings": settings})
        answer.raise_for_status()
        return str(answer.json()["session_id"])

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Raises httpx.HTTPStatusError."""
        (await self._http.post(path, json=body)).raise_for_status()

    async def page(self, path: str) -> str:
        """All that is answered. Raises httpx.HTTPStatusError."""
        return (await self._http.get(path)).raise_for_status().text

    async def health_ns(self) -> int:
        """How long the cheapest request takes on a warm connection."""
        began = monotonic_ns()
        (await self._http.get("/v1/voices")).raise_for_status()
        return monotonic_ns() - began

    @asynccontextmanager
    async def stream(
        self, session: str, *, after: int = 0, audio: str = "none"
    ) -> AsyncIterator["NativeStream"]:
        ws = self._url.replace("http", "ws", 1)
        path = f"{ws}/v1/sessions/{session}/stream?from={after}&audio={audio}"
        async with connect(path, additional_headers=self.headers, max_size=None, compression=None) as socket:
            yield NativeStream(socket)

    async def aclose(self) -> None:
        await self._http.aclose()


class NativeStream:
    """A session's socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def ask(self, prompt: str) -> int:
        """Send a prompt; when it was sent (monotonic nanoseconds)."""
        return await self.send({"type": "turn.request", "prompt": prompt})

    async def send(self, message: dict[str, Any]) -> int:
        sent = monotonic_ns()
        await self._socket.send(json.dumps(message))
        return sent

    async def arrivals(self) -> AsyncIterator[TimedFrame]:
        async for frame in self._socket:
            now = monotonic_ns()
            if isinstance(frame, str):
                yield TimedFrame(now, json.loads(frame), 0)
            else:
                size = int.from_bytes(frame[:4], "big")
                sound = frame[4 + size :]
                yield TimedFrame(now, json.loads(frame[4 : 4 + size]), len(sound), sound)

    async def first(self, kind: str) -> TimedFrame:
        """The next frame of this type; the ones before are dropped. Raises RuntimeError on an error frame."""
        async for arrival in self.arrivals():
            if arrival.event["type"] == kind:
                return arrival
            if arrival.event["type"] in ("error", "turn.failed"):
                raise RuntimeError(str(arrival.event))
        raise RuntimeError(f"the connection ended before any {kind}")

    def cut(self) -> None:
        """Drop the connection without a goodbye."""
        self._socket.transport.abort()
