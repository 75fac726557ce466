"""When an answer is first heard: the same rule for every system. Pure: every call says what time it is."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

RATE: Final = 24_000
LOUD: Final = 328
"""Of 32,767: 40 dB below full scale. Softer sound counts as silence."""


class FirstLoudSample:
    """A player that plays each piece of sound when it comes, or after the one before."""

    def __init__(self) -> None:
        self.heard_s: float | None = None
        """When the first loud sample came out of the player."""
        self.plays_until_s = -math.inf

    def push(self, pcm: bytes, at_s: float) -> bool:
        """PCM16 mono at 24 kHz, arrived at `at_s`. True: something has been heard."""
        begins_s = max(at_s, self.plays_until_s)
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.int32)
        self.plays_until_s = begins_s + len(samples) / RATE
        if self.heard_s is None:
            loud = np.flatnonzero(np.abs(samples) > LOUD)
            if loud.size:
                self.heard_s = begins_s + float(loud[0]) / RATE
        return self.heard_s is not None

    def first_ms(self) -> float:
        """When the first loud sample came out. Raises RuntimeError where none did."""
        if self.heard_s is None:
            raise RuntimeError("nothing was heard")
        return self.heard_s * 1_000


PATIENCE_S: Final = 45.0
Clock = Callable[[], float]


class PeerConnection:
    """An open connection to a system that is ready for a question."""

    def __init__(self, socket: ClientConnection, clock: Clock = monotonic) -> None:
        self._socket = socket
        self._clock = clock

    async def wish(self, **message: str) -> tuple[FirstLoudSample, float]:
        """Send it and wait for sound: heard so long after it was sent, and when that was."""
        sent = self._clock()
        await self._socket.send(json.dumps(message))
        player = FirstLoudSample()
        await self.hear(player, since_s=sent)
        return player, sent

    async def hear(self, player: FirstLoudSample, *, since_s: float) -> None:
        """Until something is heard; times are counted from `since_s`."""
        async with asyncio.timeout(PATIENCE_S):
            async for frame in self._socket:
                if isinstance(frame, bytes) and player.push(frame, self._clock() - since_s):
                    return
        raise RuntimeError("the connection ended before anything was heard")

    async def hear_more(self, player: FirstLoudSample, *, since_s: float) -> None:
        """One piece of sound."""
        frame = await self._socket.recv()
        if isinstance(frame, bytes):
            player.push(frame, self._clock() - since_s)

    async def send(self, pcm: bytes) -> None:
        await self._socket.send(pcm)


@asynccontextmanager
async def peer_connection(url: str, clock: Clock = monotonic) -> AsyncGenerator[PeerConnection, None]:
    """Connected, and told that it is ready."""
    async with connect(url, max_size=None, compression=None, close_timeout=2) as socket:
        async with asyncio.timeout(PATIENCE_S):
            ready = json.loads(await socket.recv())
        if ready.get("type") != "ready":
            raise RuntimeError(f"it is not ready: {ready}")
        yield PeerConnection(socket, clock)
