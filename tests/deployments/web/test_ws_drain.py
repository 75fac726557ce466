"""A gateway leaves while a client does: nobody is told anything on a connection that is closed."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from typing import Any, cast

import anyio
import pytest
from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message, Receive, Scope, Send

from deployments.container import GatewayContainer
from deployments.faces.native.session_socket import _Connection
from deployments.web.ws_drain import close_on_drain, until
from pipeline.auth.principals import Principal
from pipeline.sessions.drain import Drain
from schemas.native.native_messages import Hello
from schemas.settings.limit_settings import LeavingSettings

pytestmark = pytest.mark.anyio

AT_ONCE = LeavingSettings(spread_s=0)


async def nobody_speaks() -> Message:
    return {"type": "websocket.connect"}


async def test_a_socket_that_was_closed_meanwhile_is_left_like_any_that_is_gone() -> None:
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    websocket = WebSocket({"type": "websocket"}, nobody_speaks, send)
    await websocket.accept()
    await websocket.close()
    drain = Drain(AT_ONCE)
    drain.ask("test")
    connection = _Connection(websocket, cast(GatewayContainer, None), Principal(name="anna"))
    hello = Hello(session_id="x", generation="1", from_seq=0, head_seq=0)
    with pytest.raises(WebSocketDisconnect):
        await connection.see_out(drain, hello, anyio.CancelScope())
    assert sent == ["websocket.accept", "websocket.close"]


async def test_a_client_that_leaves_first_is_no_trouble_to_a_face_that_knows_nothing_of_leaving() -> None:
    drain, told = Drain(AT_ONCE), anyio.Event()
    trouble: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))

    async def send(message: Message) -> None:
        if message["type"] != "websocket.accept":
            told.set()
            raise RuntimeError("Unexpected ASGI message after the connection was closed")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        drain.ask("test")
        await told.wait()

    await close_on_drain(app, drain, {"type": "websocket", "path": "/ws"}, nobody_speaks, send)
    gc.collect()
    assert trouble == []


@pytest.mark.parametrize("steps", range(6))
async def test_a_client_that_leaves_as_its_stream_ends_leaves_no_error_behind(steps: int) -> None:
    async def ended() -> AsyncGenerator[int, None]:
        return
        yield 0

    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    items = until(anyio.sleep_forever, ended())
    reading = asyncio.ensure_future(anext(items, None))
    for _ in range(steps):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await items.aclose()
    del items, reading
    gc.collect()
    await asyncio.sleep(0)
    assert unhandled == []
