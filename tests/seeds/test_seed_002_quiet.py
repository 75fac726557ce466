"""Seed 002's streams while the model is silent: they are kept alive without an event for the client."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from pipeline.engines.ports import ChatRequest, Written
from tests.seeds.people import Person
from tests.support.clients.event_source import STREAM, thread_of
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
BEAT_S = 1.0
"""More than the tailer's own look at quiet sessions takes."""
app = app_fixture(limits={"heartbeat_s": BEAT_S})


@pytest.mark.parametrize("kind", ["thread", "chat", "completion"])
async def test_a_model_that_is_silent_for_long_is_waited_for(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    lines: list[str] = []
    answer = app.engines["language_model"].stream

    async def silent(request: ChatRequest) -> AsyncGenerator[Written, None]:
        """After its first word, until the client was told twice that the connection is alive."""
        async with aclosing(answer(request)) as answered:
            async for item in answered:
                yield item
                await eventually(lambda: sum(line.startswith(":") for line in lines) >= 2)

    monkeypatch.setattr(app.engines["language_model"], "stream", silent)
    async with Person.of(app, "", "") as person:
        path, body = {
            "thread": (STREAM, {"thread_id": await thread_of(person), "message": "Who?"}),
            "chat": ("/sse/quiet/stream", {"message": "Who?"}),
            "completion": (
                "/v1/chat/completions",
                {"model": "gpt-4", "stream": True, "messages": [{"role": "user", "content": "Who?"}]},
            ),
        }[kind]
        with anyio.fail_after(60):
            async with person.http.stream("POST", path, json=body) as got:
                async for line in got.aiter_lines():
                    lines.append(line)
    comments = [number for number, line in enumerate(lines) if line.startswith(":")]
    assert len(comments) >= 2
    # A blank line right after a comment is an event without data for clients that know an id, as httpx-sse.
    assert all(lines[number + 1] for number in comments)
