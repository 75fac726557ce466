"""A function that takes long: the conversation goes on, and its result is told when it is there."""

import sys
from collections.abc import Iterator

import anyio
import httpx
import pytest

from rhapsode import AsyncRhapsode, Event
from tests.support import operator_functions
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
FERRY = {"name": "ferry", "arguments": '{"harbour": "Oslo"}'}
FORECAST = {"name": "station_forecast", "arguments": '{"city": "Oslo"}'}
FUNCTIONS = {"registered": ["ferry", "station_forecast"]}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    station = {
        "command": [sys.executable, "-m", "tests.support.servers.mcp_station"],
        **{"tools": ["forecast"], "asynchronous": ["forecast"], "connect_s": 60},
    }
    ferry = {"entry_point": "tests.support.operator_functions:ferry", "timeout_s": 30, "asynchronous": True}
    settings = scripted_settings(
        tmp_path_factory.mktemp("asynchronous"),
        llm={
            "reply": "I have asked.",
            "call_for": {"Ask for the ferry": [FERRY], "Ask for the forecast": [FORECAST]},
            "reply_to": {"leaves at nine": "It leaves at nine.", "and wind": "Wind.", "joke": "Ha."},
        },
        tts={"ms_per_char": 5},
        tools={"functions": {"ferry": ferry}, "mcp_servers": {"station": station}},
    )
    with running_app(settings, workers=True) as running:
        yield running
        operator_functions.HELD.set()


async def told_later(app: RunningApp, session: str) -> list[Event]:
    """The events up to the end of the turn that tells a result."""
    found: list[Event] = []
    telling = None
    with anyio.fail_after(100):
        async with AsyncRhapsode(app.url) as client:
            async for event in client.session(session).events():
                found.append(event)
                if event.type == "turn.requested" and event.data.get("result_of"):
                    telling = event.seq
                if event.type == "turn.completed" and event.turn == telling:
                    return found
    raise AssertionError("the session ended")


def text_of(events: list[Event], turn: int) -> str:
    return "".join(one.data["text"] for one in events if one.turn == turn and one.type == "text.delta")


async def test_the_conversation_goes_on_and_the_result_is_spoken_when_it_is_there(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    operator_functions.HELD.clear()
    session = await create(http, settings={"tools": FUNCTIONS})
    first = await ask(http, session, prompt="Ask for the ferry.")
    heard = await listen_until_over(app.ws_url, session, first)
    assert heard.text(first) == "I have asked."
    second = await ask(http, session, prompt="Tell me a joke meanwhile.")
    heard = await listen_until_over(app.ws_url, session, second, heard)
    assert heard.text(second) == "Ha."
    assert not heard.of("tool.completed", first)
    operator_functions.HELD.set()
    events = await told_later(app, session)
    [completed] = [event for event in events if event.type == "tool.completed"]
    assert (completed.turn, completed.data["output"]) == (first, "The ferry from Oslo leaves at nine.")
    [requested] = [event for event in events if event.data.get("result_of") is not None]
    assert requested.seq == completed.seq + 1
    assert text_of(events, requested.seq) == "It leaves at nine."
    assert any(event.type == "audio.chunk" and event.turn == requested.seq for event in events)


async def test_a_tool_of_an_mcp_server_may_be_asynchronous(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http, settings={"tools": FUNCTIONS, "speak": False})
    first = await ask(http, session, prompt="Ask for the forecast.")
    events = await told_later(app, session)
    assert [event.turn for event in events if event.type == "tool.started"] == [first]
    assert text_of(events, events[-1].turn or 0) == "Wind."
