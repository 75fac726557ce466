"""A caller over WebRTC, made of aiortc: what it is told, and what it hears, with the times of both."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from tests.support.running_app import RunningApp

Event = dict[str, Any]
LIMIT_S = 30.0
_FRAME = 960


class Microphone(MediaStreamTrack):
    """Silence, and what is put into it, in real time: 20 ms of 48 kHz at once."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound: NDArray[np.int16] = np.zeros(0, np.int16)
        self._pts = 0
        self._begun = 0.0

    def say(self, pcm: bytes) -> None:
        """16-bit samples, 24 kHz."""
        self._sound = np.concatenate([self._sound, np.repeat(np.frombuffer(pcm, "<i2"), 2)])

    async def recv(self) -> av.AudioFrame:
        self._begun = self._begun or time.monotonic()
        await asyncio.sleep(max(0.0, self._begun + self._pts / 48_000 - time.monotonic()))
        piece, self._sound = self._sound[:_FRAME], self._sound[_FRAME:]
        frame = av.AudioFrame.from_ndarray(
            np.pad(piece, (0, _FRAME - len(piece)))[None, :], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, self._pts
        self._pts += _FRAME
        return frame


class Caller:
    """One call."""

    def __init__(self, configuration: RTCConfiguration | None = None) -> None:
        self.peer = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.peer.addTrack(self.microphone)
        self.channel = self.peer.createDataChannel("oai-events")
        self.events: list[Event] = []
        self.heard: list[NDArray[np.int16]] = []
        """Frames of 20 ms, 48 kHz, one channel."""
        self.heard_at: list[float] = []
        self.location = ""
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.channel.on("message", self._take)
        self.channel.on("close", self.closed.set)
        self.peer.on("track", lambda track: self._tasks.append(asyncio.create_task(self._listen(track))))

    def _take(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._changed.set()

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            self.heard.append(frame.to_ndarray()[0, :: len(frame.layout.channels)].copy())
            self.heard_at.append(time.monotonic())

    async def offer(self) -> str:
        await self.peer.setLocalDescription()
        return self.peer.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    @property
    def session(self) -> Event:
        found: Event = self.events[0]["session"]
        return found

    async def send(self, kind: str, **data: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **data}))

    async def event(self, kind: str, *, count: int = 1) -> Event:
        """The `count`-th of this type, whether it came already or is to come."""
        async with asyncio.timeout(LIMIT_S):
            while len(found := self.told(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[count - 1]

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    async def say(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content}
        )
        await self.send("response.create")

    def loud(self) -> list[bool]:
        """Of each frame that was heard, whether something sounds in it."""
        return [bool(np.abs(frame.astype(np.int32)).max() > 300) for frame in self.heard]

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.peer.close()


def loopback(**_: bool) -> list[str]:
    """aioice leaves loopback out by itself."""
    return ["127.0.0.1"]


@asynccontextmanager
async def calling(
    app: RunningApp,
    *,
    key: str = "any",
    form: dict[str, str] | None = None,
    prepare: Callable[[Caller], None] | None = None,
    configuration: RTCConfiguration | None = None,
    **query: Any,
) -> AsyncGenerator[Caller, None]:
    """Connected and greeted; the call ends with the block. `form`: parts beside the offer."""
    aioice.ice.get_host_addresses = loopback
    caller = Caller(configuration)
    if prepare is not None:
        prepare(caller)
    try:
        sdp = await caller.offer()
        async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            where = "/v1/realtime/calls"
            if form is None:
                headers["Content-Type"] = "application/sdp"
                answer = await http.post(where, content=sdp, params=query, headers=headers)
            else:
                parts = {name: (None, text) for name, text in {"sdp": sdp, **form}.items()}
                answer = await http.post(where, files=parts, params=query, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["content-type"] == "application/sdp"
        caller.location = answer.headers["location"]
        await caller.accept(answer.text)
        await caller.event("session.created")
        yield caller
    finally:
        await caller.leave()
