"""Requests of the tests, and how they read the answers."""

import base64
import io
import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import av
import httpx

from tests.support.clients.native_speaker import recording, silence
from tests.support.speech.sound_files import wav

STORY = (
    "Once upon a time there was a lighthouse keeper. Every night he lit the great lamp. "
    "One evening a small red fox came to his door."
)
SLOWLY = STORY * 6
SAID = "Please tell me of the fox."
CHAT = "/v1/chat/completions"
SPEECH = "/v1/audio/speech"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def asked(text: str = "A story, please.", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]} | more


def spoken() -> bytes:
    """A card that somebody reads out, as a WAV file."""
    return wav(silence(300) + recording("cards/001.wav") + silence(900))


def spoken_part(sound: bytes) -> dict[str, Any]:
    data = base64.b64encode(sound).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def seconds_of(file: bytes) -> float:
    """How long a file of sound is."""
    with av.open(io.BytesIO(file)) as container:
        frames = container.decode(audio=0)
        return sum(float(frame.samples / frame.sample_rate) for frame in frames)


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    data: str
    id: str = ""

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.data)
        return found


def events_of(text: str) -> list[Event]:
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if ": " in line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            events.append(Event(fields["data"], fields.get("id", "")))
    return events


def words_of(events: list[Event]) -> str:
    """The text of a streamed completion."""
    chunks = [event.json for event in events if event.data != "[DONE]"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


async def some_events(http: httpx.AsyncClient, body: dict[str, Any], enough: int) -> list[Event]:
    """The first events of an answer; then the connection is broken."""
    text = ""
    async with http.stream("POST", CHAT, json=body | {"stream": True}) as response:
        assert response.status_code == 200
        async with aclosing(response.aiter_text()) as pieces:
            async for piece in pieces:
                text += piece
                whole = events_of(text[: text.rfind("\n\n") + 2])
                if len(whole) >= enough:
                    return whole[:enough]
    return events_of(text)


async def log_events_of(
    http: httpx.AsyncClient, session: str, *, to_its_end: bool = False
) -> list[dict[str, Any]]:
    """All events of a session, so far or until it has closed."""
    follow = "true" if to_its_end else "false"
    async with http.stream("GET", f"/v1/sessions/{session}/events?follow={follow}") as response:
        text = "".join([piece async for piece in response.aiter_text()])
    return [event.json for event in events_of(text) if event.id]


def kinds(log_events: list[dict[str, Any]]) -> list[str]:
    return [log_event["type"] for log_event in log_events]
