"""A gateway is told to go: its turn goes on elsewhere, listeners are sent after it, nobody misses a word."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import psutil
import pytest

from cluster.client.http_client import Client
from loadtests.servers.gateway_system import GatewaySystem
from rhapsode.connection import Event as ReceivedEvent
from schemas.events import TERMINAL
from tests.support.clients.native_client import (
    Event,
    Heard,
    ask,
    create,
    frames,
    listen_until_over,
    open_stream,
    sse,
)
from tests.support.eventually import eventually
from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

STORY = "The keeper lit the lamp, and the fox watched the sea until the morning came. " * 5
SCRIPT = {"reply": STORY, "delta_chars": 6, "per_delta_ms": 60}


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    leaving = {"sentence_s": 10.0, "spread_s": 0.2, "grace_s": 5.0}
    with Gateways(scripted_settings(tmp_path, llm=SCRIPT, gateway={"leaving": leaving})) as started:
        yield started


async def send_away(app: RunningApp, pid: int) -> None:
    """As `rhapsode drain` does."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        there = (await http.get("/v1/gateways")).json()["gateways"]
        [name] = [one["gateway"] for one in there if one["pid"] == pid]
        assert (await http.post(f"/v1/gateways/{name}/drain")).status_code == 202
        assert (await http.post("/v1/gateways/1.none/drain")).json()["code"] == "gateway.not_found"


async def read_until_sent_on(http: httpx.AsyncClient, session: str, heard: Heard, hints: list[Event]) -> None:
    async for name, _, data in sse(http, session):
        if name == "reconnect":
            hints.append(data)
        elif name == "message":
            heard.take(data)


async def listen_until_sent_on(
    app: RunningApp, session: str, heard: Heard, hints: list[Event], first_sound: anyio.Event
) -> None:
    async with open_stream(app.ws_url, session, audio="opus") as socket:
        async for event, sound in frames(socket):
            if "data" in event:
                heard.take(event, sound)
            elif event["type"] == "reconnect":
                hints.append(event)
            if event["type"] == "audio.chunk":
                first_sound.set()
    assert socket.close_code == 1012


async def test_a_turn_is_handed_over_between_two_sentences_and_listeners_are_told_where_to_go_on(
    gateways: Gateways,
) -> None:
    here, there = gateways.start(2)
    heard, read, hints = Heard(), Heard(), list[Event]()
    async with httpx.AsyncClient(base_url=here.url, timeout=30) as http:
        session = await create(http)
        turn = await ask(http, session, prompt="A story")
        async with anyio.create_task_group() as listeners:
            first_sound = anyio.Event()
            listeners.start_soon(read_until_sent_on, http, session, read, hints)
            listeners.start_soon(listen_until_sent_on, here, session, heard, hints, first_sound)
            await first_sound.wait()
            await send_away(there, gateways.pid(here))
        answer = await http.get("/v1/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "leaving")
        assert "Retry-After" in answer.headers
        later = await ask(http, session, prompt="Another story")  # a command is as good here as anywhere
    assert {hint["cursor"].rpartition("-")[2] for hint in hints} == {str(heard.last), str(read.last)}
    await listen_until_over(there.ws_url, session, later, heard, audio="opus")
    await listen_until_over(there.ws_url, session, later, read)
    assert heard.text(turn) == heard.text(later) == read.text(later) == STORY
    assert heard.types(turn)[-1] == "turn.completed"
    [resumed] = heard.of("turn.resumed", turn)
    before = [log_event for log_event in heard.events if log_event["seq"] < resumed["seq"]]
    voiced, whole = (
        [log_event["data"]["sentence"] for log_event in before if log_event["type"] == kind]
        for kind in ("sentence.voiced", "sentence.completed")
    )
    assert voiced == whole, "the turn was handed over in the middle of a sentence"
    sound = [chunk["data"] for chunk in heard.of("audio.chunk", turn)]
    assert [one["at_ms"] for one in sound[1:]] == [one["at_ms"] + one["ms"] for one in sound[:-1]]


async def test_our_client_follows_a_gateway_that_is_terminated_without_noticing(tmp_path: Path) -> None:
    events: list[ReceivedEvent] = []
    async with GatewaySystem(tmp_path, 2, SCRIPT, random.Random(1)) as system, Client(system.url) as client:
        session = await client.create({})
        turn = await client.request(session, prompt="A story")
        owners: list[int] = []
        async for log_event in client.events(session, turn=turn, audio="opus"):
            events.append(log_event)
            if log_event.type in ("turn.started", "turn.resumed"):
                owners.append(int(log_event.data["node"].split(".")[0]))
            if log_event.type == "audio.chunk" and len(owners) == 1 and psutil.pid_exists(owners[0]):
                os.kill(owners[0], signal.SIGTERM)
        await eventually(lambda: system.ended(owners[0]) == 0)
    assert [log_event.seq for log_event in events] == list(range(1, len(events) + 1))
    assert "".join(log_event.data["text"] for log_event in events if log_event.type == "text.delta") == STORY
    assert len(owners) == 2
    assert [log_event.type for log_event in events if log_event.type in TERMINAL] == ["turn.completed"]
