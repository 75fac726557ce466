"""Event streams for clients that take an id as soon as its line is read, wherever the connection is cut.

`@microsoft/fetch-event-source` and `aiohttp-sse-client2` do so, though the standard says at the event's end.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.clients.openai_requests import CHAT, asked
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@dataclass
class EagerClient:
    """Takes an id when its line is complete, and an event when its empty line is."""

    id: str = ""
    events: list[str] = field(default_factory=list)

    def read(self, piece: bytes) -> None:
        """A whole connection's bytes; a line or event that is not complete at its end is forgotten."""
        data = ""
        for line in piece.split(b"\n")[:-1]:
            name, _, value = line.decode().partition(": ")
            if name == "id":
                self.id = value
            elif name == "data":
                data = value
            elif not line and data:
                self.events.append(data)
                data = ""


def cuts(body: bytes) -> Iterator[bytes]:
    """The body up to each of its bytes, but where only an event's empty line is missing."""
    for end in range(len(body) + 1):
        if not re.search(rb"\nid: [^\n]*\n$", body[:end]):
            yield body[:end]


async def chat(http: httpx.AsyncClient, body: dict[str, Any], name: str, last: str = "") -> httpx.Response:
    headers = {"Last-Event-ID": last} if last else {}
    return await http.post(f"/sse/{name}/stream", json=body, headers=headers)


async def test_an_answer_cut_anywhere_is_whole_for_an_eager_client(http: httpx.AsyncClient) -> None:
    body = {"message": "Tell me a story", "streaming": {"chunkSize": 40}}
    name = str(uuid.uuid4())
    answer = await chat(http, body, name)
    whole = EagerClient()
    whole.read(answer.content)
    rests = {}
    for piece in cuts(answer.content):
        client = EagerClient()
        client.read(piece)
        if not client.id:
            continue  # it was cut within the first twenty bytes
        if client.id not in rests:
            rests[client.id] = await chat(http, body, name, client.id)
        client.read(rests[client.id].content)
        assert client.events == whole.events, piece[-80:]
    assert len(rests) > 3


async def test_a_client_that_was_cut_before_the_first_message_asks_once(http: httpx.AsyncClient) -> None:
    name = str(uuid.uuid4())
    answer = await chat(http, {"message": "Tell me a story"}, name)
    retry, first, *_ = answer.text.split("\n")
    assert retry.startswith("retry: ")
    assert first == f"id: {answer.headers['X-Rhapsode-Turn']}-0-0"
    again = await chat(http, {"message": "Tell me a story"}, name, first.removeprefix("id: "))
    assert again.content == answer.content
    session = (await http.get(f"/v1/sessions/{answer.headers['X-Rhapsode-Session']}")).json()
    assert [turn["text"] for turn in session["turns"]] == ["Tell me a story"]


async def test_after_the_last_message_of_an_answer_nothing_is_said(http: httpx.AsyncClient) -> None:
    name, client = str(uuid.uuid4()), EagerClient()
    client.read((await chat(http, {"message": "Tell me a story"}, name)).content)
    again = await chat(http, {"message": "Tell me a story"}, name, client.id)
    assert (again.status_code, again.content) == (204, b"")


async def test_events_of_a_session_say_their_id_last_and_nothing_after_the_end(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    await listen_until_over(app.ws_url, session, turn)
    path = f"/v1/sessions/{session}/events"
    body = (await http.get(path, params={"follow": "false"})).content
    assert body.startswith(b"retry: ")
    for piece in cuts(body):
        client = EagerClient()
        client.read(piece)
        told = sum('"v":' in data for data in client.events)
        assert not client.id or client.id.endswith(f"-{told}"), piece[-80:]
    for query in ({"follow": "false"}, {"turn": turn}):
        again = await http.get(path, params=query, headers={"Last-Event-ID": client.id})
        assert (again.status_code, again.content) == (204, b"")


async def test_a_session_that_has_ended_has_nothing_more_to_say(http: httpx.AsyncClient) -> None:
    session = (await http.post(CHAT, json=asked())).headers["X-Rhapsode-Session"]
    path, client = f"/v1/sessions/{session}/events", EagerClient()
    client.read((await http.get(path)).content)  # a completion's session ends with its answer
    assert "session.ended" in client.events[-2]
    again = await http.get(path, headers={"Last-Event-ID": client.id})
    assert (again.status_code, again.content) == (204, b"")


async def test_chunks_of_a_completion_say_their_id_last(http: httpx.AsyncClient) -> None:
    body = (await http.post(CHAT, json=asked(stream=True))).content
    assert body.startswith(b"retry: ")
    for piece in cuts(body):
        lines = [line for line in piece.split(b"\n")[:-1] if line.startswith((b"data: {", b"id: "))]
        assert not lines or lines[0].startswith(b"data: "), piece[-80:]
