"""LiveKit Agents without a room: an AgentSession whose microphone and loudspeaker are a plain WebSocket.

.venv-peers/bin/python livekit_server.py PORT WISH_JSON
"""

import asyncio
import json
import logging
import sys
import time
from contextlib import suppress
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.utils import http_context
from livekit.agents.voice import io
from livekit.plugins import openai
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

WISH: dict[str, Any] = {}
TUNED = {
    "endpointing": {"min_delay": 0.3},
    "preemptive_generation": {"enabled": True, "preemptive_tts": True},
}
"""Beyond the defaults, which generate ahead in words but not in sound."""


class Microphone(io.AudioInput):
    """Audio that the client sends."""

    def __init__(self) -> None:
        super().__init__(label="socket")
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1_000)

    def push(self, pcm: bytes) -> None:
        """A second of somebody who does not listen is 50 frames; beyond 20 s they are dropped."""
        if not self._frames.full():
            self._frames.put_nowait(pcm)

    async def __anext__(self) -> rtc.AudioFrame:
        pcm = await self._frames.get()
        return rtc.AudioFrame(pcm, 16_000, 1, len(pcm) // 2)


class Loudspeaker(io.AudioOutput):
    """Sends every frame down the socket at once, and says that it was played when it would have been."""

    def __init__(self, socket: ServerConnection) -> None:
        super().__init__(
            label="socket", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=24_000
        )
        self._socket = socket
        self._began = 0.0
        self._pushed = 0.0
        self._ending: asyncio.Task[None] | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._pushed:
            self._began = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._pushed += frame.duration
        with suppress(ConnectionClosed):  # a listener that has heard enough hangs up
            await self._socket.send(bytes(frame.data))

    def flush(self) -> None:
        super().flush()
        if self._pushed:
            self._ending = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        await asyncio.sleep(max(0.0, self._began + self._pushed - time.monotonic()))
        played, self._pushed = self._pushed, 0.0
        self.on_playback_finished(playback_position=played, interrupted=False)

    def clear_buffer(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        if self._pushed:
            played, self._pushed = min(self._pushed, time.monotonic() - self._began), 0.0
            self.on_playback_finished(playback_position=played, interrupted=True)


def new_session() -> AgentSession[None]:
    """By its defaults: its own VAD and end-of-turn model, both local; words are generated ahead."""

    def at(kind: str) -> dict[str, Any]:
        return {"api_key": "any", "base_url": WISH[kind] + "/v1"}

    handling: dict[str, Any] = {"turn_handling": TUNED} if WISH["tuned"] else {}
    llm = openai.LLM(**at("chat"), model="race", temperature=0.0, max_completion_tokens=WISH["max_tokens"])
    return AgentSession(
        stt=openai.STT(**at("stt"), model="whisper-1"),
        llm=llm,
        tts=openai.TTS(**at("speech"), model="tts-1", response_format="pcm"),
        **handling,
    )


async def call(socket: ServerConnection) -> None:
    """One conversation."""
    async with http_context.open():
        session = new_session()
        microphone = Microphone()
        session.input.audio = microphone
        session.output.audio = Loudspeaker(socket)
        await session.start(Agent(instructions=WISH["system_prompt"]))
        await socket.send(json.dumps({"type": "ready"}))
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    microphone.push(message)
                    continue
                wish = json.loads(message)
                if "ask" in wish:
                    session.generate_reply(user_input=wish["ask"])
                else:
                    session.say(wish["say"])
        finally:
            await session.interrupt(force=True)
            await session.aclose()


async def main() -> None:
    """Serve until killed."""
    async with serve(call, "127.0.0.1", int(sys.argv[1]), compression=None, max_size=1 << 24):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    WISH.update(json.loads(sys.argv[2]))
    asyncio.run(main())
