"""Several faces at one session at the same time: all are told the same, calls of functions included."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from rhapsode import AsyncRhapsode
from tests.deployments.test_resume_through_cuts import Event, events_in, told
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.clients.openai_requests import STORY
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
SLOWLY = STORY * 6
TIDES = {"name": "tides", "arguments": '{"harbour": "Oslo"}', "say": "I look. "}
app = app_fixture(
    llm={
        **{"reply": STORY, "delta_chars": 6, "per_delta_ms": 4},
        "reply_to": {"slowly": SLOWLY},
        "call_for": {"the tides": [TIDES]},
    },
    tts={"ms_per_char": 5},
    tools={"functions": {"tides": {"entry_point": "tests.support.operator_functions:tides"}}},
)


async def heard_at_once(*listeners: Callable[[], Awaitable[Any]]) -> list[Any]:
    """A list of the results of all listeners, in their order."""
    heard: list[Any] = [None] * len(listeners)

    async def listen(number: int) -> None:
        heard[number] = await listeners[number]()

    async with anyio.create_task_group() as all_of_them:
        for number in range(len(listeners)):
            all_of_them.start_soon(listen, number)
    return heard


async def test_two_listeners_of_each_face_hear_one_answer_while_it_is_given(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = await create(http, settings={"speak": False})
        turn = await ask(http, session, prompt="Tell it slowly.")

    async def socket() -> list[int]:
        return [event["seq"] for event in (await listen_until_over(app.ws_url, session, turn)).events]

    async def server_sent() -> list[int]:
        path = f"/v1/sessions/{session}/events"
        events = [event.json for event in await told(app, "GET", path, params={"turn": turn})]
        return [event["seq"] for event in events if "data" in event]

    async def durable() -> list[int]:
        path, query = f"/v1/durable/sessions/{session}", {"offset": "-1", "live": "sse"}
        events = await told(app, "GET", path, params=query, enough='"turn.completed"')
        return [one["seq"] for event in events if event["event"] == "data" for one in event.json]

    async def library() -> list[int]:
        async with AsyncRhapsode(app.url) as client:
            return [event.seq async for event in client.session(session).events(turn=turn)]

    faces = (socket, server_sent, durable, library)
    heard = await heard_at_once(*faces, *faces)
    assert heard[0] == list(range(1, len(heard[0]) + 1))
    assert heard == [heard[0]] * len(heard)


class Stream:
    """A stream that is being read: its text so far, and its headers."""

    def __init__(self) -> None:
        self.text = ""
        self.over = False
        self.headers: httpx.Headers | None = None

    async def read(self, app: RunningApp, path: str, body: dict[str, Any]) -> None:
        async with (
            httpx.AsyncClient(base_url=app.url, timeout=30) as http,
            http.stream("POST", path, json=body) as response,
        ):
            async for piece in response.aiter_text():
                self.text += piece
                self.headers = response.headers
        self.over = True


CHAT_BODY = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Tell it slowly."}]}
RESPONSE_BODY = {"model": "gpt-4o", "stream": True, "input": "Tell it slowly."}
MESSAGE = {"role": "user", "parts": [{"type": "text", "text": "Tell it slowly."}]}


@pytest.mark.parametrize("face", ["chat", "response", "ui"])
async def test_an_answer_is_heard_by_others_while_its_client_is_told_it(app: RunningApp, face: str) -> None:
    """By the same protocol, and by server-sent events of the session."""
    chat = uuid.uuid4().hex
    path, body = {
        "chat": ("/v1/chat/completions", CHAT_BODY),
        "response": ("/v1/responses", RESPONSE_BODY),
        "ui": ("/v1/ui/chat", {"id": chat, "messages": [MESSAGE]}),
    }[face]
    first = Stream()

    async def again() -> list[Event]:
        begun = events_in(first.text)[0]
        if face == "chat":
            last = {"Last-Event-ID": begun["id"]}
            return [begun, *await told(app, "POST", path, json=body, headers=last)]
        if face == "response":
            name = begun.json["response"]["id"]
            return await told(app, "GET", f"{path}/{name}", params={"stream": "true"})
        return await told(app, "GET", f"{path}/{chat}/stream")

    async def native() -> list[Event]:
        session = first.text.partition('"session":"')[2].partition('"')[0]
        if first.headers is not None:
            session = first.headers.get("X-Rhapsode-Session", session)
        turn = events_in(first.text)[0].json["response"]["id"].rpartition("_")[2] if face == "response" else 2
        return await told(app, "GET", f"/v1/sessions/{session}/events", params={"turn": turn})

    async with anyio.create_task_group() as group:
        group.start_soon(first.read, app, path, body)
        await eventually(lambda: len(events_in(first.text)) > 1)
        assert not first.over
        same, others = await heard_at_once(again, native)
    assert same == events_in(first.text)
    deltas = [event.json["data"] for event in others if '"text.delta"' in event["data"]]
    assert "".join(delta["text"] for delta in deltas) == SLOWLY


async def test_a_function_of_the_server_is_told_by_socket_and_by_server_sent_events(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = await create(http, settings={"speak": False, "tools": {"registered": ["tides"]}})
        turn = await ask(http, session, prompt="Look at the tides.")
    heard = await listen_until_over(app.ws_url, session, turn)
    [called], [completed] = heard.of("tool.called", turn), heard.of("tool.completed", turn)
    assert called["data"]["name"] == "tides"
    assert completed["data"]["output"] == "Oslo: 04:12 and 16:40"
    sent = await told(app, "GET", f"/v1/sessions/{session}/events", params={"turn": turn})
    assert [event.json for event in sent if "data" in event.json] == heard.events
