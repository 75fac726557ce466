"""A measuring client of each face: it asks, and says when which words and which sound arrived."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, Final, Protocol

import httpx
from websockets.asyncio.client import connect

from loadtests.client.api_connection import ApiConnection


@dataclass(frozen=True, slots=True)
class FaceChunk:
    """Words or sound, and when the client had them (monotonic nanoseconds)."""

    at_ns: int
    text: str = ""
    sound: bool = False


Arrivals = AsyncGenerator[FaceChunk, None]
"""The first item is the question being sent; it carries nothing."""


class Face(Protocol):
    """One way to ask. Closing the stream leaves it."""

    def __call__(self, url: str, *, speak: bool, max_tokens: int = 4_096) -> Arrivals: ...


def _http(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=60)


async def native(url: str, *, speak: bool, max_tokens: int = 4_096) -> Arrivals:
    """A turn on the native socket."""
    async with ApiConnection(url) as client:
        session = await client.create(speak=speak, max_tokens=max_tokens)
        audio = "opus" if speak else "none"
        async with client.stream(session, after=1, audio=audio) as stream:
            yield FaceChunk(await stream.ask("Begin"))
            async for arrival in stream.until_over():
                if arrival.type == "text.delta":
                    yield FaceChunk(arrival.at_ns, arrival.data["text"])
                elif arrival.type == "audio.chunk":
                    yield FaceChunk(arrival.at_ns, sound=True)
                elif arrival.type in ("turn.failed", "turn.stopped"):
                    raise RuntimeError(str(arrival.event))


async def conversations(url: str, *, speak: bool, max_tokens: int = 4_096) -> Arrivals:
    """Seed 002's stream; its sound comes a sentence at a time."""
    async with _http(url) as http:
        settings = {"max_tokens": max_tokens}
        thread = (await http.post("/v1/threads", json={"settings": settings})).json()["id"]
        body = {"thread_id": thread, "message": "Begin", "audio": "opus" if speak else "none"}
        async with aclosing(_events(http, "/v1/conversations/message/stream", body)) as events:
            async for at_ns, event in events:
                if event is None:
                    yield FaceChunk(at_ns)
                elif event["type"] == "chunk":
                    yield FaceChunk(at_ns, event["content"])
                elif event["type"] == "audio":
                    yield FaceChunk(at_ns, sound=True)


async def chat_completions(url: str, *, speak: bool, max_tokens: int = 4_096) -> Arrivals:
    """OpenAI's chat completions, streamed."""
    body: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Begin"}],
        "stream": True,
        "max_completion_tokens": max_tokens,
    }
    if speak:
        body |= {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
    async with _http(url) as http, aclosing(_events(http, "/v1/chat/completions", body)) as events:
        async for at_ns, event in events:
            if event is None:
                yield FaceChunk(at_ns)
                continue
            for choice in event["choices"]:
                delta = choice["delta"]
                audio = delta.get("audio") or {}
                if text := delta.get("content") or audio.get("transcript"):
                    yield FaceChunk(at_ns, text)
                if audio.get("data"):
                    yield FaceChunk(at_ns, sound=True)


async def speech(url: str, *, speak: bool, max_tokens: int = 4_096) -> Arrivals:
    """OpenAI's speech: a text that is read out."""
    body = {"model": "tts-1", "voice": "alloy", "input": "The lamp is lit.", "response_format": "pcm"}
    async with _http(url) as http:
        await http.get("/v1/models")
        yield FaceChunk(monotonic_ns())
        async with http.stream("POST", "/v1/audio/speech", json=body) as answer:
            answer.raise_for_status()
            async for _ in answer.aiter_raw():
                yield FaceChunk(monotonic_ns(), sound=True)


async def realtime(url: str, *, speak: bool, max_tokens: int = 4_096) -> Arrivals:
    """OpenAI's Realtime socket."""
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=gpt-realtime"
    async with connect(address, max_size=None, compression=None) as socket:
        session = {"type": "realtime", "output_modalities": ["audio" if speak else "text"]}
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Begin"}]}
        for message in (
            {"type": "session.update", "session": session | {"max_output_tokens": max_tokens}},
            {"type": "conversation.item.create", "item": item},
        ):
            await socket.send(json.dumps(message))
        async for frame in socket:
            if json.loads(frame)["type"] == "conversation.item.done":
                break
        yield FaceChunk(monotonic_ns())
        await socket.send(json.dumps({"type": "response.create"}))
        async for frame in socket:
            now = monotonic_ns()
            event = json.loads(frame)
            match event["type"]:
                case "response.output_text.delta" | "response.output_audio_transcript.delta":
                    yield FaceChunk(now, event["delta"])
                case "response.output_audio.delta":
                    yield FaceChunk(now, sound=bool(base64.b64decode(event["delta"])))
                case "response.done":
                    return


async def _events(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> AsyncGenerator[tuple[int, dict[str, Any] | None], None]:
    """Server-sent events with their times, on a connection that is open already; the first is the sending."""
    await http.get("/v1/voices")
    yield monotonic_ns(), None
    async with http.stream("POST", path, json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                yield monotonic_ns(), json.loads(line[6:])


FACES: Final[Mapping[str, Face]] = {
    "native, WS": native,
    "conversations, SSE": conversations,
    "chat/completions, SSE": chat_completions,
    "realtime, WS": realtime,
}
HEARD: Final[Mapping[str, Face]] = {**FACES, "audio/speech": speech}
