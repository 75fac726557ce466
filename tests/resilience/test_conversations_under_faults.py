"""Conversations while things break: the log server is killed, a gateway goes, and nobody keeps the lists."""

import os
import signal
from pathlib import Path

import anyio
import httpx
import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from tests.support.clients.event_source import EventSource
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio

STORY = "The keeper lit the lamp, and the fox watched the sea. " * 8
SCRIPT = {"reply": STORY, "delta_chars": 8, "per_delta_ms": 20}


def kill_the_log(app: RunningApp) -> None:
    server = embedded_server.status(app.settings.home)
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)


async def to_the_end(source: EventSource) -> EventSource:
    """As a client does that comes back until it was told the end."""

    with anyio.fail_after(60):
        await source.read()
        while source.messages[-1]["type"] != "done":
            await anyio.sleep(0.05)
            await source.read()
    return source


async def test_a_log_server_that_is_killed_in_mid_answer_costs_no_word(tmp_path: Path) -> None:
    with running_app(scripted_settings(tmp_path, llm=SCRIPT)) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
            source = EventSource(http, "/sse/my-chat/stream", {"message": "Tell me"})
            await source.read(upto=900)
            kill_the_log(app)
            await to_the_end(source)
            again = EventSource(http, "/sse/my-chat/stream", {"message": "Tell me"}, ids=["2-2-0"])
            await to_the_end(again)
    assert source.text == again.text == STORY
    assert source.messages[-1]["content"] == STORY


async def test_an_answer_goes_on_at_another_gateway(tmp_path: Path) -> None:
    with running_app(scripted_settings(tmp_path, llm=SCRIPT)) as first:
        address = {"url": f"unix://{embedded_server.socket_path(tmp_path)}"}
        second_settings = scripted_settings(tmp_path / "second", llm=SCRIPT, log=address)
        with running_app(second_settings) as second:
            async with httpx.AsyncClient(base_url=second.url, timeout=60) as http:
                source = EventSource(http, "/sse/my-chat/stream", {"message": "Tell me"})
                await source.read(upto=1_200)
        async with httpx.AsyncClient(base_url=first.url, timeout=60) as http:
            source.http = http
            await to_the_end(source)
    assert source.text == STORY


async def test_without_workers_lists_lag_and_answers_stream_all_the_same(tmp_path: Path) -> None:
    with running_app(scripted_settings(tmp_path, llm={"reply": STORY}), workers=False) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
            source = await EventSource(http, "/sse/my-chat/stream", {"message": "Tell me"}).read()
            assert (await http.get("/v1/threads")).json()["threads"] == []
            thread = (await http.get(f"/v1/threads/{source.session}")).json()
    assert source.messages[-1]["content"] == STORY
    assert thread["messages"][-1]["content"] == STORY
