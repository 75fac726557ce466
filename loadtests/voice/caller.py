"""One caller on one socket: a microphone, a loudspeaker, and a note of when everything arrived."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

from loadtests.voice.loudspeaker import Loudspeaker
from loadtests.voice.microphone import Microphone

_TELL_S: Final = 1.0
"""As often the page says what was heard."""
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Arrival:
    """A fact or frame, when it came (monotonic seconds), and its sound."""

    at_s: float
    event: dict[str, Any]
    audio: bytes = b""

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


class Caller:
    """Speaks and listens at once. Everything that came is in `arrivals`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.microphone = Microphone(socket.send)
        self.loudspeaker = Loudspeaker()
        self.arrivals: list[Arrival] = []
        self.epoch_s = monotonic() - time()
        """The epoch on the monotonic clock: one machine, one clock for facts and arrivals."""
        self._news = asyncio.Event()

    async def send(self, **message: Any) -> float:
        """When it was sent."""
        sent = monotonic()
        await self._socket.send(json.dumps(message))
        return sent

    async def send_sound(self, pcm: bytes) -> None:
        """Past the microphone: at any pace."""
        await self._socket.send(pcm)

    async def until(self, told: Callable[[Arrival], bool], *, after: int = 0, limit_s: float = 60) -> Arrival:
        """The first from number `after` on that is so, come or to come."""
        async with asyncio.timeout(limit_s):
            while True:
                for arrival in self.arrivals[after:]:
                    if told(arrival):
                        return arrival
                after = len(self.arrivals)
                self._news.clear()
                await self._news.wait()

    async def until_so(self, holds: Callable[[], bool], *, limit_s: float = 60) -> None:
        """Return when it holds; looked at whenever something has arrived."""
        async with asyncio.timeout(limit_s):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def listen(self) -> None:
        """Until the connection ends."""
        async for frame in self._socket:
            now = monotonic()
            if isinstance(frame, str):
                arrival = Arrival(now, json.loads(frame))
            else:
                size = int.from_bytes(frame[:4], "big")
                arrival = Arrival(now, json.loads(frame[4 : 4 + size]), frame[4 + size :])
            self._play(arrival)
            self.arrivals.append(arrival)
            self._news.set()

    def _play(self, arrival: Arrival) -> None:
        match arrival.type:
            case "audio.chunk" if arrival.turn is not None:
                self.loudspeaker.push(arrival.turn, arrival.data["ms"], arrival.at_s)
            case "playback.paused" | "playback.resumed":
                self.loudspeaker.hold(arrival.at_s, held=arrival.type == "playback.paused")
            case "playback.flushed" if arrival.turn == self.loudspeaker.turn:
                self.loudspeaker.flush(arrival.at_s)

    async def acknowledge(self) -> None:
        """Until cancelled: say every second, and when it falls silent, what has been heard."""
        said: tuple[int | None, int] = (None, 0)
        said_s, sounded = 0.0, False
        while True:
            await asyncio.sleep(_LOOK_S)
            now, speaker = monotonic(), self.loudspeaker
            heard, sounds = (speaker.turn, round(speaker.heard_ms(now))), speaker.remaining_s(now) > 0
            if heard != said and heard[1] and (now - said_s >= _TELL_S or (sounded and not sounds)):
                await self.send(type="playback.ack", turn=heard[0], heard_ms=heard[1])
                said, said_s = heard, now
            sounded = sounds


@asynccontextmanager
async def calling(
    url: str,
    session: str,
    *,
    audio: str = "opus",
    paced: bool = True,
    headers: dict[str, str] | None = None,
) -> AsyncGenerator[Caller, None]:
    """Connected, and its input open; everything of it ends with the block. Not `paced`: no microphone."""
    address = f"{url.replace('http', 'ws', 1)}/v1/sessions/{session}/stream?from=head&audio={audio}"
    async with connect(address, additional_headers=headers, max_size=None, compression=None) as socket:
        caller = Caller(socket)
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(caller.listen()), tasks.create_task(caller.acknowledge())]
            await caller.send(type="input.open")
            await caller.until(lambda arrival: arrival.type == "input.ready")
            if paced:
                work.append(tasks.create_task(caller.microphone.run()))
            try:
                yield caller
            finally:
                for task in work:
                    task.cancel()
