"""Small clients of the native protocol, as strict as a client may be."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from schemas.events import TERMINAL

Event = dict[str, Any]
SCENES, STREAM = "/api/stories/{story}/scenes", "/api/stories/{story}/scenes/generate-with-tts-stream"


@dataclass
class Heard:
    """Events of one listener, checked as they came: no gap, no repetition, no disorder."""

    events: list[Event] = field(default_factory=list)
    audio: dict[int, bytes] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return self.events[-1]["seq"] if self.events else 0

    def take(self, log_event: Event, audio: bytes = b"") -> None:
        assert log_event["seq"] == self.last + 1, f"after {self.last} came {log_event['seq']}"
        self.events.append(log_event)
        if audio:
            self.audio[log_event["seq"]] = audio

    def types(self, turn: int | None = None) -> list[str]:
        return [log_event["type"] for log_event in self.events if turn is None or log_event["turn"] == turn]

    def of(self, kind: str, turn: int | None = None) -> list[Event]:
        return [f for f in self.events if f["type"] == kind and turn in (None, f["turn"])]

    def text(self, turn: int) -> str:
        return "".join(log_event["data"]["text"] for log_event in self.of("text.delta", turn))

    def is_over(self, turn: int) -> bool:
        return any(log_event["turn"] == turn and log_event["type"] in TERMINAL for log_event in self.events)

    def sound(self, turn: int) -> bytes:
        return b"".join(self.audio[f["seq"]] for f in self.of("audio.chunk", turn))


def split_frame(frame: str | bytes) -> tuple[Event, bytes]:
    """A WebSocket frame as its JSON and its audio."""
    if isinstance(frame, str):
        return json.loads(frame), b""
    size = int.from_bytes(frame[:4], "big")
    return json.loads(frame[4 : 4 + size]), frame[4 + size :]


def open_stream(ws_url: str, session: str, **query: Any) -> connect:
    path = f"{ws_url}/v1/sessions/{session}/stream?{urlencode({k.rstrip('_'): v for k, v in query.items()})}"
    # Unbounded: whoever leaves with a full queue does not see the close of the other side for ten seconds.
    return connect(path, max_size=None, compression=None, max_queue=None)


async def frames(socket: ClientConnection) -> AsyncGenerator[tuple[Event, bytes], None]:
    with suppress(ConnectionClosedError):
        async for frame in socket:
            yield split_frame(frame)


async def listen_until_over(
    ws_url: str, session: str, turn: int, heard: Heard | None = None, **query: Any
) -> Heard:
    """Listen from where `heard` ends until the turn's terminal event."""
    heard = heard or Heard()
    async with (
        open_stream(ws_url, session, from_=heard.last, **query) as socket,
        aclosing(frames(socket)) as coming,
    ):
        async for event, audio in coming:
            assert event["type"] != "error", event
            if "data" in event:
                heard.take(event, audio)
                if heard.is_over(turn):
                    break
    return heard


async def create(http: httpx.AsyncClient, **body: Any) -> str:
    answer = await http.post("/v1/sessions", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


async def ask(http: httpx.AsyncClient, session: str, *, key: str | None = None, **body: Any) -> int:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await http.post(f"/v1/sessions/{session}/turns", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["turn"])


async def sse(
    http: httpx.AsyncClient, session: str, headers: dict[str, str] | None = None, **query: Any
) -> AsyncGenerator[tuple[str, str, Event], None]:
    """(event name, id, data) of each event, parsed as the HTML standard says."""
    params = {k.rstrip("_"): v for k, v in query.items()}
    async with http.stream("GET", f"/v1/sessions/{session}/events", params=params, headers=headers) as answer:
        assert answer.status_code == 200, (await answer.aread()).decode()
        name, ident, data = "message", "", []
        async for line in answer.aiter_lines():
            if not line:
                if data:
                    yield name, ident, json.loads("\n".join(data))
                name, data = "message", []
                continue
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                name = value
            elif key == "id":
                ident = value
            elif key == "data":
                data.append(value)
