"""Seed 001, feature 2, when something breaks: case 8, and “Error Handling”."""

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from fastapi import WebSocket

from deployments.container import GatewayContainer
from deployments.faces.stories import story_routes
from deployments.faces.stories.story_routes import known_scene
from pipeline.apps.narrations import Scene
from pipeline.auth.principals import Principal
from tests.seeds.conftest import MUTE, SLOW, SLOWLY, STORY
from tests.seeds.people import (
    Message,
    Person,
    heard,
    kinds,
    messages,
    of,
    text_of,
    until,
)
from tests.support.eventually import eventually
from tests.support.running_app import running_app, scripted_settings
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("cut_after", [1, 2, 7, 15, 30, 45])
async def test_8_after_a_cut_the_rest_follows(person: Person, cut_after: int) -> None:
    await person.prefer(realtime_tts_enabled=True)
    url = await person.stream(await person.story())
    before = await messages(person, url, until=lambda got: len(got) > cut_after)
    after = await messages(person, f"{url}?after={before[-1].get('seq', 0)}")
    whole = await messages(person, url)
    assert before[1:] + after[1:] == whole[1:]
    assert after[0] == whole[0] == before[0]


async def test_8_a_listener_who_begins_again_hears_everything_from_the_start(person: Person) -> None:
    await person.prefer(realtime_tts_enabled=True)
    url = await person.stream(await person.story(), "slowly")
    first = await messages(person, url, until=lambda got: len(of(got, "audio_chunk")) == 3)
    again = await messages(person, url)
    assert again[: len(first)] == first
    assert text_of(again) == SLOW


async def test_8_a_listener_who_is_cut_off_again_and_again_misses_nothing(person: Person) -> None:
    await person.prefer(realtime_tts_enabled=True)
    url = await person.stream(await person.story(), "slowly")
    got: list[Message] = []
    while not of(got, "generation_complete"):
        seq = got[-1]["seq"] if got else 0
        got += (await messages(person, f"{url}?after={seq}", until=lambda part: len(part) > 9))[1:]
    assert got == (await messages(person, url))[1:]


async def test_8_closing_the_socket_does_not_stop_the_scene(person: Person) -> None:
    story = await person.story()
    await messages(person, await person.stream(story, "slowly"), until=lambda got: len(got) > 5)

    async def complete() -> bool:
        shown = (await person.http.get(f"/api/stories/{story}/scenes/1")).json()
        return bool(shown["status"] == "completed" and shown["content"] == SLOW)

    await until(complete)


# ---------------------------------------------------------------- "Error Handling"


async def test_a_sentence_that_cannot_be_spoken_is_left_out_and_the_text_goes_on(person: Person) -> None:
    got = await heard(person, "something unspeakable")
    assert text_of(got) == MUTE
    chunks = of(got, "audio_chunk")
    assert not any("unspeakable" in chunk["sentence_text"] for chunk in chunks)
    assert [chunk["sentence_number"] for chunk in chunks] == list(range(len(chunks)))
    assert got[-1]["type"] == "generation_complete"
    assert got[-1]["total_sentences"] == len(chunks) == 2


async def test_a_voice_that_breaks_off_inside_a_sentence_costs_that_sentence(
    person: Person, remote: FakeSpeechServer
) -> None:
    """Its log has the sound that came; clients that are given whole sentences are not given this one."""
    remote.chunks = 2
    await person.prefer(tts_provider="cloud")
    url = await person.stream(await person.story(), "something unspeakable")
    scene = url.rpartition("/")[2]
    got = await messages(person, url)
    assert text_of(got) == MUTE
    assert (of(got, "audio_chunk"), got[-1]["total_sentences"]) == ([], 0)
    story, _, turn = scene.partition(".")
    kinds_of_turn = [event["type"] for event in await person.events(story) if event["turn"] == int(turn)]
    assert kinds_of_turn.count("sentence.failed") == 3
    assert kinds_of_turn.count("audio.chunk") >= 3
    chunk = await person.http.get(f"/api/tts/audio/{scene}/chunk/0")
    assert (chunk.status_code, chunk.json()["code"]) == (404, "chunk.not_found")
    narrated = await messages(person, (await person.generate(scene, force_regenerate=True))["websocket_url"])
    assert [message["type"] for message in narrated] == ["connected", "error"]


async def test_a_provider_that_dies_in_the_middle_of_a_scene_costs_sentences_only(
    person: Person, remote: FakeSpeechServer
) -> None:
    await person.prefer(tts_provider="cloud")
    url = await person.stream(await person.story(), "slowly")
    await eventually(lambda: len(remote.requests) >= 5)
    remote.refusals = [(500, {})] * 10
    got = await messages(person, url)
    assert text_of(got) == SLOW
    assert len(of(got, "audio_chunk")) == got[-1]["total_sentences"] == SLOWLY - 10


async def test_when_the_language_model_fails_the_client_is_told_why(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, llm={"reply": STORY, "fail_after": 12, "delta_chars": 6})
    with running_app(settings) as app:
        async with Person.of(app, "", "") as person:
            story = await person.story()
            got = await messages(person, await person.stream(story))
            scene = (await person.http.get(f"/api/stories/{story}/scenes/1")).json()
            plain = await person.scene(story)
            again = await messages(person, await person.stream(story))
    assert kinds(got)[-1] == "error"
    assert (got[-1]["code"], got[-1]["retryable"]) == ("engine.failed", False)
    assert got[-1]["message"]
    assert text_of(got) == STORY[: 12 * 6] == scene["content"]
    assert scene["status"] == plain["status"] == "failed"
    assert scene["error"] == got[-1]["message"]
    assert again[-1]["type"] == "error"


@pytest.mark.parametrize("said", ['{"type": "ping"}', "no json"])
async def test_connected_is_first_however_early_the_client_speaks(
    person: Person, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """The scene is looked up only once the client's message is there."""
    url = await person.stream(await person.story())
    received = anyio.Event()
    receive = WebSocket.receive

    async def noted(socket: WebSocket) -> Any:
        message = await receive(socket)
        if message["type"] == "websocket.receive":
            received.set()
        return message

    async def late(services: GatewayContainer, caller: Principal, scene_id: str) -> Scene:
        await received.wait()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        return await known_scene(services, caller, scene_id)

    monkeypatch.setattr(WebSocket, "receive", noted)
    monkeypatch.setattr(story_routes, "known_scene", late)
    async with person.socket(url) as socket:
        await socket.send(said)
        got = [json.loads(text) async for text in socket]
    assert got[0]["type"] == "connected"
    assert len(of(got, "pong") + of(got, "error")) == 1
    assert got[-1]["type"] == "generation_complete"


async def test_a_socket_answers_what_it_cannot_do_and_goes_on(person: Person) -> None:
    got = []
    async with person.socket(await person.stream(await person.story(), "slowly")) as socket:
        for bad in (
            '{"type": "dance"}',
            "no json",
            '{"type": "ack", "id": 1}',
            '{"type": "skip", "sentence": -1}',
        ):
            await socket.send(bad)
        await socket.send('{"type": "ping"}')
        async for text in socket:
            got.append(json.loads(text))
    assert [error["code"] for error in of(got, "error")] == ["input.invalid"] * 4
    assert len(of(got, "pong")) == 1
    assert got[-1]["type"] == "generation_complete"
    assert text_of(got) == SLOW
