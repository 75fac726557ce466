"""The Agents SDK's realtime session as a client, where it can be imported (docs/adr/0119)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.deployments.realtime.conftest import ANSWER
from tests.deployments.realtime.realtime_sound import silence, speech
from tests.support.running_app import RunningApp

realtime = pytest.importorskip("agents.realtime", reason="needs openai-agents, without its dependencies")
agents = pytest.importorskip("agents")
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def session(app: RunningApp, **settings: Any) -> AsyncGenerator[Any, None]:
    agents.set_tracing_disabled(True)

    @agents.function_tool  # type: ignore[untyped-decorator]
    def weather(city: str) -> str:
        """How the weather is in a city."""
        return f"It rains in {city}."

    agent = realtime.RealtimeAgent(name="Keeper", instructions="Be brief.", tools=[weather])
    runner = realtime.RealtimeRunner(agent, config={"model_settings": settings})
    opened = await runner.run(
        model_config={"api_key": "none", "url": f"{app.ws_url}/v1/realtime?model=local"}
    )
    async with opened:
        yield opened


async def until(opened: Any, kind: str, count: int = 1) -> list[Any]:
    events: list[Any] = []
    async for event in opened:
        events.append(event)
        assert event.type != "error", event
        if sum(one.type == kind for one in events) == count:
            return events
    raise AssertionError(f"the session ended without {kind}")


async def test_a_message_is_answered_with_speech(app: RunningApp) -> None:
    async with session(app) as opened:
        await opened.send_message("Who comes by?")
        events = await until(opened, "agent_end")
    assert sum(len(event.audio.data) for event in events if event.type == "audio") > 48_000
    said = [
        getattr(part, "transcript", None)
        for event in events
        if event.type == "history_updated"
        for item in event.history
        if item.type == "message" and item.role == "assistant"
        for part in item.content
    ]
    assert ANSWER in said


async def test_a_function_is_called_and_the_agent_goes_on(app: RunningApp) -> None:
    async with session(app) as opened:
        await opened.send_message("How is the weather?")
        events = await until(opened, "agent_end", count=2)
    [called] = [event for event in events if event.type == "tool_end"]
    assert called.output == "It rains in Kiel."


async def test_speech_interrupts(app: RunningApp) -> None:
    async with session(app) as opened:
        await opened.send_message("slowly")
        await until(opened, "audio")
        await opened.send_audio(silence(300) + speech() + silence(2_000))
        events = await until(opened, "audio_interrupted")
        assert events
        await until(opened, "agent_end", count=1)
