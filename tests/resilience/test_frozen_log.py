"""The log server stands still for a while: callers are told in time, listeners stay, nothing doubles."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import LogSettings
from tests.support.clients.native_client import create
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio

QUIET = {"speak": False}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    with running_app(scripted_settings(tmp_path)) as running:
        yield running


@asynccontextmanager
async def frozen(app: RunningApp) -> AsyncGenerator[None, None]:
    server = embedded_server.status(app.settings.home)
    assert server is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def said(app: RunningApp, path: str) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
    """Name ("" for an event of the log) and data of each server-sent event; an id only on the log's own."""
    async with (
        httpx.AsyncClient(base_url=app.url, timeout=60) as http,
        http.stream("GET", path) as answer,
    ):
        name, cursor = "", ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                cursor = value
            elif field == "data":
                data = json.loads(value)
            elif not line and name + cursor:
                assert bool(cursor) is (name == "")
                yield name, data
                name, cursor = "", ""


async def heartbeat(events: AsyncIterator[tuple[str, dict[str, Any]]], log: str) -> None:
    async for name, data in events:
        if name == "heartbeat" and data["log"] == log:
            return
    raise AssertionError("the stream has ended")


async def test_a_frozen_log_takes_neither_gateway_nor_listeners_away(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        session = await create(http)
        turns, key = f"/v1/sessions/{session}/turns", {"Idempotency-Key": "once"}
        sse = said(app, f"/v1/sessions/{session}/events?from=head")
        assert (await anext(sse))[0] == "hello"
        async with connect(f"{app.ws_url}/v1/sessions/{session}/stream?from=head", proxy=None) as websocket:
            assert json.loads(await websocket.recv())["type"] == "hello"
            with anyio.fail_after(60):
                async with frozen(app):
                    asked = {"text": "Hello.", "settings": QUIET}
                    answers = await asyncio.gather(
                        *(http.post(turns, json=asked, headers=key) for _ in range(20)),
                        *(http.get(f"/v1/sessions/{session}") for _ in range(100)),
                    )
                    assert {answer.status_code for answer in answers} == {503}
                    problem = answers[0].json()
                    assert (problem["code"], problem["reason"]) == ("log.unavailable", "unreachable")
                    assert int(answers[0].headers["Retry-After"]) > 0
                    health, ready = await http.get("/v1/health"), await http.get("/v1/ready")
                    assert (health.status_code, health.json()["log"]) == (503, "The log does not answer.")
                    assert (ready.status_code, ready.json()["log"]) == (200, "unavailable")
                    await heartbeat(sse, "unavailable")
                await heartbeat(sse, "ok")
                answer = await http.post(turns, json=asked, headers=key)
                assert answer.status_code == 202
                numbers = []
                async for name, data in sse:
                    if not name:
                        numbers.append((data["seq"], data["type"]))
                        if data["type"] == "turn.completed":
                            break
                heard = [json.loads(text) async for text in until_over(websocket)]
        assert [seq for seq, _ in numbers] == list(range(2, len(numbers) + 2))
        assert [kind for _, kind in numbers].count("turn.requested") == 1
        assert [frame["seq"] for frame in heard if "ts" in frame] == [seq for seq, _ in numbers]
        states = [frame["log"] for frame in heard if frame["type"] == "heartbeat"]
        assert states[:1] == ["unavailable"]
        assert "ok" in states
        with anyio.fail_after(30):  # the answer of the second before may be told again
            while (await http.get("/v1/health")).json()["log"] != "ok":  # noqa: ASYNC110
                await anyio.sleep(0.05)


async def until_over(websocket: ClientConnection) -> AsyncGenerator[str | bytes, None]:
    async for text in websocket:
        yield text
        if '"turn.completed"' in str(text):
            return


async def test_many_connections_to_a_frozen_server_break_nobody(tmp_path: Path) -> None:
    """Its queue of connections is full then, which the kernel tells with another error than others."""
    server = embedded_server.ensure(tmp_path, LogSettings())
    os.kill(server.pid, signal.SIGSTOP)
    waiting = []
    try:
        with suppress(BlockingIOError):
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(os.fspath(server.socket_path))
        embedded_server.revive(
            tmp_path, LogSettings()
        )  # somebody is there: nothing is started, nothing raised
    finally:
        for one in waiting:
            one.close()
        os.kill(server.pid, signal.SIGCONT)
    assert embedded_server.ensure(tmp_path, LogSettings()).pid == server.pid
    assert embedded_server.stop(tmp_path)
