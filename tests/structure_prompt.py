"""Answers one typed prompt with scripted engines over a real log, for the count of modules on its path."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

from tests.support.running_app import running_app, scripted_settings


def answer_one_prompt(home: Path, passed: Any) -> None:
    """Opens a session, and sets `passed.on` from the prompt's arrival until its last event."""
    with running_app(scripted_settings(home, llm={"reply": "One sentence. And another."}, tts={})) as app:
        session = httpx.post(f"{app.url}/v1/sessions").json()["session_id"]
        asyncio.run(_ask(f"{app.url.replace('http', 'ws')}/v1/sessions/{session}/stream", passed))


async def _ask(url: str, passed: Any) -> None:
    async with connect(url, max_size=None) as socket:
        while True:
            frame = await socket.recv()
            if isinstance(frame, str) and json.loads(frame)["type"] == "hello":
                break
        passed.on = True
        await socket.send(json.dumps({"type": "turn.request", "prompt": "Say something.", "ref": "one"}))
        async for frame in socket:
            if isinstance(frame, str) and json.loads(frame)["type"] == "turn.completed":
                break
        passed.on = False
