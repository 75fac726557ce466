"""Nothing is lost, doubled or disordered while connections are cut and the log server is killed."""

import os
import random
import signal
from pathlib import Path

import anyio
import httpx
import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from tests.support.clients.native_client import Heard, ask, create, frames, open_stream
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio

STORY = "The keeper lit the lamp, and the fox watched the sea. " * 12


async def listen_with_cuts(app: RunningApp, session: str, turn: int, seed: int, audio: str) -> Heard:
    """Hear the turn over connections that end after a random number of frames, without a goodbye."""
    dice, heard = random.Random(seed), Heard()
    while not heard.is_over(turn):
        lifetime = dice.randint(1, 25)
        async with open_stream(app.ws_url, session, from_=heard.last, audio=audio) as socket:
            async for event, sound in frames(socket):
                assert event["type"] != "error", event
                if "data" in event:
                    heard.take(event, sound)
                lifetime -= 1
                if heard.is_over(turn) or lifetime <= 0:
                    socket.transport.abort()
                    break
    return heard


@pytest.mark.long
async def test_twenty_sessions_lose_nothing_while_connections_are_cut_at_random(tmp_path: Path) -> None:
    settings = scripted_settings(
        tmp_path, llm={"reply": STORY, "delta_chars": 8, "per_delta_ms": 8}, tts={"per_chunk_ms": 3}
    )
    heard: dict[str, list[Heard]] = {}
    with running_app(settings) as app:

        async def talk(number: int) -> None:
            async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
                session = await create(http)
                turn = await ask(http, session, prompt=f"story {number}")
            heard[session] = []

            async def listen(seed: int, audio: str) -> None:
                heard[session].append(await listen_with_cuts(app, session, turn, seed, audio))

            async with anyio.create_task_group() as listeners:
                listeners.start_soon(listen, number, "opus")
                listeners.start_soon(listen, number + 1_000, "opus")

        async with anyio.create_task_group() as sessions:
            for number in range(20):
                sessions.start_soon(talk, number)
    assert len(heard) == 20
    for first, second in heard.values():
        turn = first.events[1]["seq"]
        assert first.events == second.events
        assert first.audio == second.audio
        assert first.text(turn) == STORY
        assert first.types(turn)[-1] == "turn.completed"
        assert all(len(first.audio[c["seq"]]) == c["data"]["bytes"] for c in first.of("audio.chunk"))


async def test_three_kills_of_the_log_server_lose_nothing_acknowledged_and_the_turn_completes(
    tmp_path: Path,
) -> None:
    settings = scripted_settings(tmp_path, llm={"reply": STORY, "delta_chars": 8, "per_delta_ms": 30})
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
            session = await create(http)
            turn = await ask(http, session, prompt="story")
            heard, kills = Heard(), 0
            while not heard.is_over(turn):
                async with open_stream(app.ws_url, session, from_=heard.last, audio="opus") as socket:
                    async for event, sound in frames(socket):
                        if "data" in event:
                            heard.take(event, sound)
                        if heard.is_over(turn):
                            break
                        if kills < 3 and len(heard.of("text.delta")) > 12 * (kills + 1):
                            await eventually(lambda: embedded_server.status(settings.home) is not None)
                            server = embedded_server.status(settings.home)
                            assert server is not None
                            os.kill(server.pid, signal.SIGKILL)
                            kills += 1
            again = Heard()
            async with open_stream(app.ws_url, session, follow="false", audio="opus") as socket:
                async for event, sound in frames(socket):
                    if "data" in event:
                        again.take(event, sound)
    assert kills == 3
    assert heard.text(turn) == STORY
    assert heard.types(turn)[-1] == "turn.completed"
    assert again.events == heard.events
    assert again.audio == heard.audio
