"""Odd handshakes at the gateway's own listener, as raw bytes: each is answered, and rightly."""

import base64
import os
from collections.abc import AsyncGenerator

import anyio
import pytest
from fastapi import FastAPI, WebSocket
from websockets import http11

from cluster.local import up
from deployments.web.auth_middleware import _accepting
from deployments.web.direct_listener import listening
from loadtests.servers.gateway_system import reserve_port
from pipeline.sessions.drain import Drain
from schemas.settings.limit_settings import GatewaySettings, LeavingSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def port() -> AsyncGenerator[int, None]:
    app = FastAPI()

    @app.websocket("/")
    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    with reserve_port() as reserved:
        free: int = reserved.getsockname()[1]
        drain = Drain(LeavingSettings())
        async with listening(app, GatewaySettings(direct_port=free), drain):
            yield free
            drain.ask("the test is over")


async def answer(port: int, *headers: str, version: str = "13", http: str = "1.1") -> str:
    """The head of what comes back."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        *(f"GET / HTTP/{http}", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"),
        *(f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}", *headers, "", ""),
    ]
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send("\r\n".join(lines).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
    return head.decode("latin-1").partition("\r\n\r\n")[0]


async def test_a_handshake_as_it_should_be_is_taken(port: int) -> None:
    assert (await answer(port)).startswith("HTTP/1.1 101 ")


async def test_a_token_may_be_longer_than_websockets_have_it_by_default(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http11, "MAX_LINE_LENGTH", int(up._RAY["WEBSOCKETS_MAX_LINE_LENGTH"]))
    assert (await answer(port, "Cookie: " + "a" * 60_000)).startswith("HTTP/1.1 101 ")
    assert (await answer(port, "Cookie: " + "a" * 70_000)).startswith("HTTP/1.1 431 ")


@pytest.mark.parametrize("size", [70_000, 200_000])
async def test_a_header_that_is_too_long_is_answered(port: int, size: int) -> None:
    assert (await answer(port, "X-Long: " + "a" * size)).startswith("HTTP/1.1 431 ")


async def test_many_headers_are_answered(port: int) -> None:
    assert (await answer(port, *(f"X-{n}: a" for n in range(200)))).startswith("HTTP/1.1 431 ")


@pytest.mark.parametrize("version", ["12", "", "x"])
async def test_another_version_is_told_ours(port: int, version: str) -> None:
    head = await answer(port, version=version)
    assert head.startswith("HTTP/1.1 426 ")
    assert "Sec-WebSocket-Version: 13" in head


async def test_http_1_0_has_no_sockets(port: int) -> None:
    assert " 404 " in (await answer(port, http="1.0")).partition("\r\n")[0]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["soap", "wamp"], None),
        (["rhapsode", "bearer.x"], "rhapsode"),
        (["soap", "bearer.x"], "bearer.x"),
        (["openai-insecure-api-key.x", "openai-beta.realtime-v1"], "openai-beta.realtime-v1"),
        ([], None),
    ],
)
async def test_only_a_protocol_that_is_spoken_here_is_chosen(offered: list[str], chosen: str | None) -> None:
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await _accepting(send, offered)({"type": "websocket.accept"})  # type: ignore[arg-type]
    assert sent[0].get("subprotocol") == chosen
