"""A peer's plain WebSocket, as its caller has it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from websockets.asyncio.client import ClientConnection, connect

from loadtests.peers.ear import Ear

PATIENCE_S: Final = 45.0
Clock = Callable[[], float]


class Line:
    """An open connection to a system that is ready for a question."""

    def __init__(self, socket: ClientConnection, clock: Clock = monotonic) -> None:
        self._socket = socket
        self._clock = clock

    async def wish(self, **message: str) -> tuple[Ear, float]:
        """Send it and wait for sound: heard so long after it was sent, and when that was."""
        sent = self._clock()
        await self._socket.send(json.dumps(message))
        ear = Ear()
        await self.hear(ear, since_s=sent)
        return ear, sent

    async def hear(self, ear: Ear, *, since_s: float) -> None:
        """Until something is heard; times are counted from `since_s`."""
        async with asyncio.timeout(PATIENCE_S):
            async for frame in self._socket:
                if isinstance(frame, bytes) and ear.push(frame, self._clock() - since_s):
                    return
        raise RuntimeError("the connection ended before anything was heard")

    async def hear_more(self, ear: Ear, *, since_s: float) -> None:
        """One piece of sound."""
        frame = await self._socket.recv()
        if isinstance(frame, bytes):
            ear.push(frame, self._clock() - since_s)

    async def send(self, pcm: bytes) -> None:
        await self._socket.send(pcm)


@asynccontextmanager
async def line(url: str, clock: Clock = monotonic) -> AsyncGenerator[Line, None]:
    """Connected, and told that it is ready."""
    async with connect(url, max_size=None, compression=None, close_timeout=2) as socket:
        async with asyncio.timeout(PATIENCE_S):
            ready = json.loads(await socket.recv())
        if ready.get("type") != "ready":
            raise RuntimeError(f"it is not ready: {ready}")
        yield Line(socket, clock)
