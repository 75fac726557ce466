"""A client as the seed's page has one: it reads an event stream, and asks again where it was cut."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.seeds.people import Person

Message = dict[str, Any]
STREAM = "/v1/conversations/message/stream"


@dataclass
class EventSource:
    """Reads events as the WHATWG standard has them, from bytes that may end anywhere, in mid-line too."""

    http: httpx.AsyncClient
    path: str
    body: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    session: str = ""
    _rest: bytes = b""

    async def read(self, *, upto: int | None = None) -> "EventSource":
        """Up to the end, or for so many bytes; then the connection is cut. Goes on after the last event."""
        headers = {"Last-Event-ID": self.ids[-1]} if self.ids else {}
        self._rest, seen = b"", 0
        async with self.http.stream("POST", self.path, json=self.body, headers=headers) as answer:
            if answer.status_code in (204, 503):
                return self
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.session = answer.headers["x-rhapsode-session"]
            with suppress(httpx.StreamClosed):
                async for piece in answer.aiter_raw():
                    room = len(piece) if upto is None else max(0, upto - seen)
                    self._take(piece[:room])
                    seen += len(piece)
                    if upto is not None and seen >= upto:
                        break
        return self

    def _take(self, piece: bytes) -> None:
        *events, self._rest = (self._rest + piece).split(b"\n\n")
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
            if b"data" in fields:
                self.messages.append(json.loads(fields[b"data"]))
                self.ids += [fields[b"id"].decode()] if b"id" in fields else []

    @property
    def text(self) -> str:
        return "".join(message["content"] for message in self.messages if message["type"] == "chunk")

    @property
    def kinds(self) -> list[str]:
        """Types in order, runs of the same as one."""
        types = [message["type"] for message in self.messages]
        return [kind for kind, before in zip(types, [None, *types], strict=False) if kind != before]


async def thread_of(person: Person, **wish: Any) -> str:
    answer = await person.http.post("/v1/threads", json=wish)
    assert answer.status_code == 201, answer.text
    thread: str = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/threads/{thread}"
    return thread


def asking(person: Person, thread: str, message: str = "Who are you?", **wish: Any) -> EventSource:
    return EventSource(person.http, STREAM, {"thread_id": thread, "message": message} | wish)


async def events_of(person: Person, session: str) -> list[dict[str, Any]]:
    answer = await person.http.get(f"/v1/sessions/{session}/events?follow=false&from=0")
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [log_event for log_event in map(json.loads, lines) if "seq" in log_event and "type" in log_event]
