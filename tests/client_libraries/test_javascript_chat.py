"""The JavaScript client's chat in Node; test_conformance.py has what it shares with the Python client."""

import json
import time

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.client_libraries.libraries import NODE, JavaScript

AWAY_S = 1.0
"""Longer than the patience of the chat in driver.mjs."""
HELLO = {"type": "hello", "generation": "g", "head_seq": 3, "from_seq": 0}
ASKED = {"kind": "prompt", "text": "Hello"}
EVENTS = [
    {"seq": 1, "turn": None, "type": "turn.requested", "ts": 1, "data": ASKED},
    {"seq": 2, "turn": 1, "type": "text.delta", "ts": 2, "data": {"at": 0, "text": "Good day."}},
    {"seq": 3, "turn": 1, "type": "turn.completed", "ts": 3, "data": {"sentences": 1, "audio_ms": 0}},
]


@pytest.mark.anyio
@pytest.mark.skipif(NODE is None, reason="node is not installed")
async def test_a_chat_goes_on_when_its_server_is_back_and_takes_the_error_away() -> None:
    began_s: list[float] = []

    async def stream(socket: ServerConnection) -> None:
        began_s.append(time.monotonic())
        if len(began_s) == 1:
            for message in (HELLO, EVENTS[0]):
                await socket.send(json.dumps(message))
        elif began_s[-1] - began_s[0] > AWAY_S:
            for message in (HELLO, *EVENTS[1:]):
                await socket.send(json.dumps(message))
            await socket.wait_closed()
        await socket.close(1011)

    async with serve(stream, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await JavaScript().run("chat", f"http://127.0.0.1:{port}", session="s")
    assert said == {"told": ["connection.lost", None], "text": "Good day."}
