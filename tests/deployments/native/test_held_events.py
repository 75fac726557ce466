"""Events that wait in a gateway for a client which takes them slowly."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import anyio.lowlevel
import httpx
import pytest
from websockets.asyncio.client import connect

from deployments.faces.conversations.json_socket import JsonSocket
from deployments.faces.native import event_feed, session_socket
from deployments.faces.native.event_feed import Feed, ListenParams, dumps
from pipeline.auth.principals import Principal
from schemas.errors.access_errors import ListenerLimit
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, SessionId
from schemas.settings.access_settings import PrincipalLimits
from tests.support.clients.native_client import ask, create, open_stream
from tests.support.loop_turns import others_come_between
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
Told = tuple[Seq, bytes, bytes] | None
ME = Principal("me")
TITLE = "Only this test has a session of this title"
LONG = "年" * 30_000
"""A text whose JSON has 90 kB."""


async def feed_of(app: RunningApp, session: str) -> Feed:
    assert app.services is not None
    conversation, head = await app.services.sessions.attend(SessionId(session))
    listening = ListenParams("0").listening(conversation, head, app.services.settings.limits)
    return Feed(app.services, ME, SessionId(session), head, listening, None)


async def test_events_that_a_client_takes_slowly_are_held_as_json(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http, title=TITLE)
    await http.patch(f"/v1/sessions/{session}", json={"settings": {"system_prompt": TITLE}})

    async def held() -> int:
        told = (await feed_of(app, session)).told()
        await anext(told)
        await anyio.lowlevel.checkpoint()  # what has brought the events is over
        gc.collect()
        count = sum(isinstance(one, Recorded) and TITLE in str(one.data) for one in gc.get_objects())
        await told.aclose()
        return count

    assert app.loop is not None
    assert await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(held(), app.loop)) == 0


async def test_long_events_that_clients_take_slowly_are_bounded_for_each_principal(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.services is not None
    principal = PrincipalLimits(held_bytes=150_000)
    limits = app.services.settings.limits.model_copy(update={"principal": principal})
    monkeypatch.setattr(app.services.held, "limits", limits)
    monkeypatch.setattr(event_feed, "_LONG", 50_000)
    session = await create(http, settings={"speak": False})
    await ask(http, session, text=LONG)

    async def until_the_long_one(told: AsyncGenerator[Told, None]) -> None:
        while (frame := await anext(told)) is not None and len(frame[1]) < 90_000:
            pass

    async def listen() -> None:
        first, second, third = [(await feed_of(app, session)).told() for _ in range(3)]
        await until_the_long_one(first)
        with pytest.raises(ListenerLimit):
            await until_the_long_one(second)
        await first.aclose()
        await until_the_long_one(third)
        await third.aclose()

    assert app.loop is not None
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(listen(), app.loop))


async def test_others_come_between_the_long_events_of_listeners_at_the_same_place(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, listeners = list[int](), 20
    send = session_socket._Connection._send

    async def counted(connection: session_socket._Connection, data: str | bytes) -> None:
        await send(connection, data)
        if len(data) >= len(LONG):
            sent.append(1)

    monkeypatch.setattr(session_socket._Connection, "_send", counted)
    session = await create(http, settings={"speak": False})
    async with AsyncExitStack() as open_:
        for _ in range(listeners):
            socket = await open_.enter_async_context(open_stream(app.ws_url, session))
            await socket.recv()
        async with others_come_between(app, sent, listeners):
            await ask(http, session, text=LONG)


@pytest.mark.parametrize("kind", ["message", "done"])
async def test_others_come_between_the_long_messages_to_those_who_listen_to_a_thread(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sent, listeners = list[int](), 20
    send = JsonSocket.send

    async def counted(socket: JsonSocket, message: dict[str, Any]) -> None:
        await send(socket, message)
        if message["type"] == kind:
            sent.append(1)

    monkeypatch.setattr(JsonSocket, "send", counted)
    made = await http.post("/v1/threads", json={"title": TITLE, "settings": {"speak": False}})
    thread = made.json()["id"]
    async with AsyncExitStack() as open_:
        for _ in range(listeners):
            socket = await open_.enter_async_context(connect(f"{app.ws_url}/v1/threads/{thread}/stream"))
            await socket.recv()
        async with others_come_between(app, sent, listeners):
            await ask(http, thread, text=LONG)


def test_listeners_at_the_same_place_share_the_json_of_a_long_event() -> None:
    recorded = Recorded(Seq(1), 0, NO_TURN, "text.delta", 1, {"text": LONG})
    assert recorded.json(dumps) is recorded.json(dumps)
