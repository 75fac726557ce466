"""The voice assistant's clients: what they say and what they are told."""

import base64
import io
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import av
from websockets.asyncio.client import ClientConnection, connect

from schemas.apps.assistant_messages import ASSISTANT_MESSAGES
from tests.support.running_app import RunningApp

LIMIT_S = 60
Message = dict[str, Any]
KNOWN = {model.model_fields["type"].default: model for model in ASSISTANT_MESSAGES}


@asynccontextmanager
async def assistant(app: RunningApp, **query: Any) -> AsyncGenerator[tuple[ClientConnection, str], None]:
    """A connection to the assistant, and the session that it speaks in."""
    wishes = "&".join(f"{name}={value}" for name, value in query.items())
    async with connect(f"{app.ws_url}/ws/voice?{wishes}", max_size=None) as socket:
        with anyio.fail_after(LIMIT_S):
            first = json.loads(await socket.recv())
            assert first["type"] == "session", first
            yield socket, first["session_id"]


async def messages(socket: ClientConnection) -> AsyncGenerator[Message, None]:
    async for message in socket:
        assert isinstance(message, str)
        told = json.loads(message)
        KNOWN[told["type"]].model_validate(told)  # as the AsyncAPI document describes it
        yield told


async def until(socket: ClientConnection, kind: str) -> list[Message]:
    """Everything up to the first message of this kind."""
    found = []
    async with aclosing(messages(socket)) as heard:
        async for message in heard:
            found.append(message)
            if message["type"] == kind:
                break
    return found


async def say(socket: ClientConnection, sound: bytes, *, base64_chunks: bool = False) -> None:
    for start in range(0, len(sound), 3_200):
        chunk = sound[start : start + 3_200]
        if base64_chunks:
            coded = base64.b64encode(chunk).decode()
            await socket.send(json.dumps({"type": "audio-chunk", "chunk": coded}))
        else:
            await socket.send(chunk)


def mp3_ms(chunk: str) -> float:
    with av.open(io.BytesIO(base64.b64decode(chunk)), "r") as file:
        assert file.format.name == "mp3"
        rate = file.streams.audio[0].rate
        samples = [frame.samples for frame in file.decode(audio=0) if isinstance(frame, av.AudioFrame)]
        return 1_000 * sum(samples) / rate
