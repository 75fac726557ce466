"""Faces behind a relay that cuts connections at any byte: nothing is lost, nothing is doubled."""

import json
import random
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from tests.deployments.realtime.realtime_client import Client, plain
from tests.deployments.realtime.realtime_client import client as realtime_client
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.clients.openai_requests import CHAT, STORY, asked
from tests.support.cutting_relay import cutting_relay
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, app_fixture

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("seed", range(2))]
CUTS = 4
SLOWLY = STORY * 12
app = app_fixture(
    llm={"reply": STORY, "delta_chars": 6, "per_delta_ms": 2, "reply_to": {"slowly": SLOWLY}},
    tts={"ms_per_char": 5},
    session={"max_tokens": 4_096},
    openai={"grace_s": 30},
)


@asynccontextmanager
async def cut(app: RunningApp, seed: int, least: int = 4_000) -> AsyncGenerator[RunningApp, None]:
    """The same server through the relay, whose first connections break; some of them must have broken."""
    after = random.Random(seed).randrange(least, 2 * least)
    async with cutting_relay(app.url, after_bytes=after, cuts=CUTS) as (url, broken):
        yield RunningApp(url, app.settings)
        assert broken


class Event(dict[str, str]):
    """The fields of one server-sent event but `retry`, which each connection says once."""

    @property
    def json(self) -> Any:
        return json.loads(self["data"])


async def told(
    app: RunningApp, method: str, path: str, *, enough: str | None = None, **request: Any
) -> list[Event]:
    """The whole events of a stream, until it ends, has told `enough`, or the connection breaks."""
    text = ""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        with suppress(httpx.TransportError):
            async with http.stream(method, path, **request) as response:
                assert response.status_code in (200, 204), await response.aread()
                async for piece in response.aiter_text():
                    text += piece
                    if enough is not None and enough in text and text.endswith("\n\n"):
                        break
    return events_in(text)


def events_in(text: str) -> list[Event]:
    """The whole events of a stream's text."""
    events = []
    for block in text.split("\n\n")[:-1]:
        fields = (line.partition(":") for line in block.split("\n") if not line.startswith(":"))
        event = Event({name: value.removeprefix(" ") for name, _, value in fields if name != "retry"})
        if "data" in event:
            events.append(event)
    return events


async def spoken(app: RunningApp) -> tuple[str, int]:
    """A session in which an answer begins, and its turn."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = await create(http)
        return session, await ask(http, session, prompt="Tell it slowly.")


async def test_a_native_socket_goes_on(app: RunningApp, seed: int) -> None:
    session, turn = await spoken(app)
    heard = Heard()
    async with cut(app, seed) as relayed:
        while not heard.is_over(turn):
            with suppress(WebSocketException, EOFError, OSError):
                await listen_until_over(relayed.ws_url, session, turn, heard, audio="pcm16")
    whole = await listen_until_over(app.ws_url, session, turn, audio="pcm16")
    assert (heard.events, heard.audio) == (whole.events, whole.audio)
    assert heard.text(turn) == SLOWLY


async def test_native_events_go_on(app: RunningApp, seed: int) -> None:
    session, turn = await spoken(app)
    path, query = f"/v1/sessions/{session}/events", {"turn": turn, "audio": "pcm16"}
    heard: list[Event] = []
    async with cut(app, seed) as relayed:
        while not heard or heard[-1].json["type"] != "turn.completed":
            last = {"Last-Event-ID": heard[-1]["id"]} if heard else {}
            rest = await told(relayed, "GET", path, params=query, headers=last)
            heard += [event for event in rest if "data" in event.json]
    whole = await told(app, "GET", path, params=query)
    assert heard == [event for event in whole if "data" in event.json]


async def test_a_completion_goes_on(app: RunningApp, seed: int) -> None:
    body = asked("Tell it slowly.", stream=True)
    heard: list[Event] = []
    async with cut(app, seed) as relayed:
        while not heard or heard[-1]["data"] != "[DONE]":
            last = {"Last-Event-ID": heard[-1]["id"]} if heard else {}
            heard += await told(relayed, "POST", CHAT, json=body, headers=last)
    chunks = [choice["delta"] for event in heard[:-1] for choice in event.json["choices"]]
    assert "".join(delta.get("content") or "" for delta in chunks) == SLOWLY
    again = await told(app, "POST", CHAT, json=body, headers={"Last-Event-ID": heard[0]["id"]})
    assert heard[1:] == again


async def test_a_message_goes_on(app: RunningApp, seed: int) -> None:
    messages = [{"role": "user", "content": "Tell it slowly."}]
    body = {"model": "claude-sonnet-5", "max_tokens": 4_000, "messages": messages, "stream": True}
    heard: list[Event] = []
    async with cut(app, seed) as relayed:
        while not heard or heard[-1]["event"] != "message_stop":
            last = {"Last-Event-ID": heard[-1]["id"]} if heard else {}
            heard += await told(relayed, "POST", "/v1/messages", json=body, headers=last)
    deltas = [event.json["delta"] for event in heard if event["event"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas) == SLOWLY
    again = await told(app, "POST", "/v1/messages", json=body, headers={"Last-Event-ID": heard[0]["id"]})
    assert heard[1:] == again


async def test_a_response_goes_on(app: RunningApp, seed: int) -> None:
    body = {"model": "gpt-4o", "input": "Tell it slowly.", "stream": True}
    heard: list[dict[str, Any]] = []
    async with cut(app, seed) as relayed:
        while not heard:
            heard = [event.json for event in await told(relayed, "POST", "/v1/responses", json=body)]
        path = f"/v1/responses/{heard[0]['response']['id']}"
        while heard[-1]["type"] != "response.completed":
            query = {"stream": "true", "starting_after": heard[-1]["sequence_number"]}
            heard += [event.json for event in await told(relayed, "GET", path, params=query)]
    assert [event["sequence_number"] for event in heard] == list(range(len(heard)))
    deltas = [event["delta"] for event in heard if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == SLOWLY
    assert heard == [event.json for event in await told(app, "GET", path, params={"stream": "true"})]


async def test_a_chat_of_the_ui_stream_is_whole_after_the_last_cut(app: RunningApp, seed: int) -> None:
    chat = uuid.uuid4().hex
    message = {"role": "user", "parts": [{"type": "text", "text": "Tell it slowly."}]}
    async with cut(app, seed, least=1_000) as relayed:
        heard = await told(relayed, "POST", "/v1/ui/chat", json={"id": chat, "messages": [message]})
        while heard:
            parts = [event.json for event in heard if event["data"] != "[DONE]"]
            text = "".join(part["delta"] for part in parts if part["type"] == "text-delta")
            assert text == SLOWLY if len(parts) < len(heard) else SLOWLY.startswith(text)
            heard = await told(relayed, "GET", f"/v1/ui/chat/{chat}/stream")
    async with httpx.AsyncClient(base_url=app.url) as http:
        shown = (await http.get(f"/v1/ui/chat/{chat}")).json()["messages"]
    assert [part["text"] for part in shown[1]["parts"] if part["type"] == "text"] == [SLOWLY]
    assert len(shown) == 2


async def test_a_session_that_is_read_as_a_durable_stream_goes_on(app: RunningApp, seed: int) -> None:
    session, _ = await spoken(app)
    path, offset = f"/v1/durable/sessions/{session}", "-1"
    heard: list[dict[str, Any]] = []
    async with cut(app, seed) as relayed:
        while not heard or heard[-1]["type"] != "turn.completed":
            waits: list[dict[str, Any]] = []
            # A batch counts with the control event behind it, which says where the next one begins.
            query = {"offset": offset, "live": "sse"}
            for event in await told(relayed, "GET", path, params=query, enough='"turn.completed"'):
                if event["event"] == "control":
                    heard, waits, offset = heard + waits, [], event.json["streamNextOffset"]
                else:
                    waits = event.json
    assert [event["seq"] for event in heard] == list(range(1, len(heard) + 1))
    async with httpx.AsyncClient(base_url=app.url) as http:
        assert heard == (await http.get(path, params={"offset": "-1"})).json()


def _over(caller: Client) -> bool:
    return "response.done" in caller.types or caller.socket.state is State.CLOSED


async def test_a_realtime_session_goes_on(app: RunningApp, seed: int) -> None:
    async with realtime_client(app) as caller:
        session, after = caller.session["id"], caller.events[0]["sequence_number"]
        await caller.say("Tell it slowly.")
        await caller.send("response.create")
        await caller.event("response.created")
    heard: list[dict[str, Any]] = []
    async with cut(app, seed) as relayed:
        while not heard or heard[-1]["type"] != "response.done":
            with suppress(WebSocketException, EOFError, OSError):
                async with realtime_client(relayed, session_id=session, starting_after=after) as again:
                    await eventually(partial(_over, again))
                    heard += plain(again.events)
                    after = heard[-1]["sequence_number"] if heard else after
    async with realtime_client(app, session_id=session, starting_after=0) as afterwards:
        await afterwards.event("response.done")
        assert plain(afterwards.events) == heard
        assert afterwards.said() == SLOWLY
