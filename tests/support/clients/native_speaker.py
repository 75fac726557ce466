"""People who call: recorded speech over the native WebSocket, at any pace, and what comes back."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from loadtests.client import recorded_speech
from tests.support.running_app import RunningApp

BYTES_PER_MS = recorded_speech.PER_MS
Event = dict[str, Any]


def recording(name: str) -> bytes:
    """16 kHz PCM16 of a recording with somebody's speech; skips where Debian's package is missing."""
    if not recorded_speech.available():
        pytest.skip("needs the recordings of Debian's pocketsphinx-testdata")
    return recorded_speech.read(name)


def austen(number: str = "0870") -> bytes:
    return recording(f"librivox/sense_and_sensibility_01_austen_64kb-{number}.wav")


def silence(ms: int) -> bytes:
    return bytes(ms * BYTES_PER_MS)


class Caller:
    """One connection; everything that comes is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.events: list[Event] = []
        self.frames: list[Event] = []
        self.sound: list[tuple[Event, bytes]] = []
        self._changed = asyncio.Event()
        self._refs = count(1)
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for message in self._socket:
                self._take(message)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            length = int.from_bytes(message[:4], "big")
            event = json.loads(message[4 : 4 + length])
            self.sound.append((event, message[4 + length :]))
        else:
            event = json.loads(message)
        (self.events if "data" in event else self.frames).append(event)
        self._changed.set()

    async def until(
        self, told: Callable[[Event], bool], *, frames: bool = False, limit_s: float = 30
    ) -> Event:
        """The first that is so, whether it came already or is to come."""
        async with asyncio.timeout(limit_s):
            while True:
                for event in self.frames if frames else self.events:
                    if told(event):
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def event(self, kind: str, *, count: int = 1, **data: Any) -> Event:
        """The `count`-th event of the kind with such data."""

        def matches(event: Event) -> bool:
            return event["type"] == kind and all(event["data"].get(k) == v for k, v in data.items())

        def told(_: Event) -> bool:
            return sum(map(matches, self.events)) >= count

        await self.until(told)
        return [event for event in self.events if matches(event)][count - 1]

    async def frame(self, kind: str, **data: Any) -> Event:
        return await self.until(
            lambda f: f["type"] == kind and all(f.get(k) == v for k, v in data.items()), frames=True
        )

    async def send(self, **message: Any) -> None:
        await self._socket.send(json.dumps(message))

    async def open(self, **wish: Any) -> Event:
        before = len(self._ready())
        await self.send(type="input.open", ref="open", **wish)
        await self.until(lambda _: len(self._ready()) > before, frames=True)
        return self._ready()[-1]

    def _ready(self) -> list[Event]:
        return [frame for frame in self.frames if frame["type"] == "input.ready"]

    async def answered(self, **message: Any) -> Event:
        """The frame that answers this message."""
        ref = f"message {next(self._refs)}"
        await self.send(ref=ref, **message)
        return await self.until(lambda frame: frame.get("ref") == ref, frames=True)

    async def dismissed(self, limit_s: float = 30) -> int | None:
        """The code with which the server closes the connection."""
        async with asyncio.timeout(limit_s):
            await self._socket.wait_closed()
        return self._socket.close_code

    async def speak(self, pcm: bytes, *, pace: float = 0.0, frame_ms: int = 40) -> None:
        """`pace`: 1 is as people speak, 0 as fast as it goes."""
        size = frame_ms * BYTES_PER_MS
        loop = asyncio.get_running_loop()
        due = loop.time()
        for start in range(0, len(pcm), size):
            await self._socket.send(pcm[start : start + size])
            due += frame_ms / 1_000 * pace
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def raw(self, data: bytes) -> None:
        await self._socket.send(data)

    def cut(self) -> None:
        """As a network does it."""
        self._socket.transport.abort()

    async def leave(self) -> None:
        self._reading.cancel()
        await self._socket.close()


async def new_session(app: RunningApp, **listening: Any) -> str:
    """Of settings that listen as wished."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.post("/v1/sessions", json={"settings": {"listening": listening}})
        assert answer.status_code == 201, answer.text
        session: str = answer.json()["session_id"]
        return session


async def events_of(app: RunningApp, session: str) -> list[Event]:
    """All that the session's log has."""
    found = []
    async with (
        httpx.AsyncClient(base_url=app.url, timeout=30) as http,
        http.stream("GET", f"/v1/sessions/{session}/events", params={"follow": "false"}) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data:") and "seq" in (event := json.loads(line[5:])):
                found.append(event)
    return [event for event in found if "data" in event]


@asynccontextmanager
async def calling(app: RunningApp, session: str, **query: Any) -> AsyncGenerator[Caller, None]:
    """Connected to the session; the connection ends with the block."""
    wishes = "&".join(f"{name}={value}" for name, value in query.items())
    async with connect(f"{app.ws_url}/v1/sessions/{session}/stream?{wishes}", max_size=None) as socket:
        caller = Caller(socket)
        try:
            yield caller
        finally:
            await caller.leave()
