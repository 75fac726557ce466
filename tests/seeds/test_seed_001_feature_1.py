"""Seed 001, "Feature 1 Testing": auto-play of complete scenes, point by point."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from pipeline.engines.ports import ChatRequest, Written
from pipeline.eventlog.tiered_log import TieredLog
from tests.seeds.conftest import STORY
from tests.seeds.people import AUTO, Person, messages, milliseconds, nothing_left_to_do, of, until
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio


async def test_1_enable_the_auto_play_setting(person: Person) -> None:
    before = (await person.http.get("/api/tts/settings")).json()["preferences"]
    assert (before["auto_play_last_scene"], before["realtime_tts_enabled"]) == (False, False)
    assert (before["tts_enabled"], before["min_sentence_length"]) == (True, 20)
    changed = await person.prefer(auto_play_last_scene=True)
    assert changed["preferences"] == before | AUTO
    assert (await person.http.get("/api/tts/settings")).json() == changed


async def test_1_every_change_of_the_settings_is_kept(person: Person) -> None:
    await person.prefer(auto_play_last_scene=True)
    await person.prefer(speech_speed=1.5)
    last = await person.prefer(auto_play_last_scene=False, default_voice="alto")
    history = (await person.http.get("/api/tts/settings/history")).json()["history"]
    said = [
        tuple(at["preferences"][name] for name in ("auto_play_last_scene", "speech_speed", "default_voice"))
        for at in history
    ]
    assert said == [(True, 1.0, None), (True, 1.5, None), (False, 1.5, "alto")]
    assert history[-1]["seq"] == last["seq"]
    assert [at["changed_ms"] for at in history] == sorted(at["changed_ms"] for at in history)


async def test_1_changes_at_the_same_time_are_all_there(person: Person) -> None:
    changes: list[dict[str, Any]] = [
        {"auto_play_last_scene": True},
        {"realtime_tts_enabled": True},
        {"speech_speed": 1.25},
        {"min_sentence_length": 30},
        {"default_voice": "alto"},
        {"tts_timeout": 7},
    ]

    async def choose(change: dict[str, Any]) -> None:
        await person.prefer(**change)

    async with anyio.create_task_group() as together:
        for change in changes:
            together.start_soon(choose, change)
    present = (await person.http.get("/api/tts/settings")).json()["preferences"]
    assert all(present[name] == value for change in changes for name, value in change.items())


async def test_2_generate_a_new_scene(person: Person) -> None:
    story = await person.story(title="The lighthouse", premise="a keeper and a fox")
    scene = await person.scene(story, custom_prompt="How does it begin?")
    assert scene["content"] == STORY
    assert (scene["status"], scene["number"], scene["story_id"]) == ("completed", 1, story)
    assert (scene["spoken"], scene["narration"]) == (False, None)
    again = (await person.http.get(f"/api/stories/{story}")).json()
    assert (again["title"], again["premise"]) == ("The lighthouse", "a keeper and a fox")
    assert again["scenes"] == [scene]


async def test_3_narration_starts_by_itself_when_the_scene_is_complete(person: Person) -> None:
    await person.prefer(**AUTO)
    story = await person.story()
    async with person.notifications() as news:
        scene = await person.scene(story)
        told = await news.next()
        await news.quiet()
    assert told["type"] == "tts_ready"
    assert (told["scene_id"], told["story_id"], told["auto_play"]) == (scene["id"], story, True)
    shown = (await person.http.get(f"/api/stories/{story}/scenes/1")).json()
    assert shown["narration"]["status"] == "ready"
    assert shown["narration"]["chunk_count"] == told["chunk_count"] > 1
    types = [event["type"] for event in await person.events(story) if event["turn"]]
    assert types[-3:] == ["turn.completed", "narration.requested", "narration.ready"]


async def test_3_what_was_announced_can_be_played(person: Person) -> None:
    await person.prefer(**AUTO)
    story = await person.story()
    async with person.notifications() as news:
        await person.scene(story)
        told = await news.next()
    by_socket = await messages(person, f"/ws/tts/{told['scene_id']}")
    chunks = of(by_socket, "chunk_ready")
    assert len(chunks) == told["chunk_count"]
    for number, chunk in enumerate(chunks):
        by_rest = await person.http.get(f"/api/tts/audio/{told['scene_id']}/chunk/{number}")
        assert by_rest.headers["content-type"] == "audio/mpeg"
        assert abs(milliseconds(by_rest.content) - chunk["duration_ms"]) <= 120


async def test_4_with_narration_disabled_the_scene_stands_alone(person: Person, log: TieredLog) -> None:
    await person.prefer(tts_enabled=False, **AUTO)
    story = await person.story()
    scene = await person.scene(story)
    await nothing_left_to_do(log)
    shown = (await person.http.get(f"/api/stories/{story}/scenes/1")).json()
    assert shown == scene
    assert await person.events_of(story, "narration.requested") == []
    async with person.notifications() as news:
        await news.quiet()


@pytest.mark.parametrize("enabled", [True, False])
async def test_4_without_auto_play_nothing_is_made_until_somebody_asks(
    person: Person, log: TieredLog, enabled: bool
) -> None:
    await person.prefer(tts_enabled=enabled)
    scene = await person.scene(await person.story())
    await nothing_left_to_do(log)
    refused = await person.http.get(f"/api/tts/audio/{scene['id']}/chunk/0")
    assert (refused.status_code, refused.json()["code"]) == (404, "narration.not_found")
    async with person.notifications() as news:
        assert (await person.generate(scene["id"]))["created"]
        told = await news.next()
    assert (told["type"], told["auto_play"]) == ("tts_ready", False)


async def test_4_a_scene_that_was_heard_while_it_was_written_is_not_narrated_again(
    person: Person, log: TieredLog
) -> None:
    await person.prefer(**AUTO)
    story = await person.story()
    heard = await messages(person, await person.stream(story))
    await nothing_left_to_do(log)
    assert heard[-1]["type"] == "generation_complete"
    assert await person.events_of(story, "narration.requested") == []


@pytest.mark.parametrize("before", [True, False])
async def test_4_what_a_user_changes_after_asking_for_a_scene_does_not_change_it(
    person: Person, app: RunningApp, log: TieredLog, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """The settings change while the scene is being written, long before it is complete."""
    await person.prefer(auto_play_last_scene=before)
    changed = anyio.Event()
    answer = app.engines["language_model"].stream

    async def slow(request: ChatRequest) -> AsyncGenerator[Written, None]:
        async with aclosing(answer(request)) as answered:
            async for item in answered:
                yield item
                await eventually(changed.is_set)

    monkeypatch.setattr(app.engines["language_model"], "stream", slow)
    story = await person.story()
    await person.scene(story, wait=False)
    await person.prefer(auto_play_last_scene=not before)
    changed.set()

    async def complete() -> bool:
        return bool(await person.events_of(story, "turn.completed"))

    await until(complete)
    await nothing_left_to_do(log)
    [asked] = await person.events_of(story, "turn.requested")
    assert asked["data"]["narrate"] is before
    assert len(await person.events_of(story, "narration.requested")) == before


async def test_4_auto_play_that_is_switched_on_after_a_scene_is_complete_holds_from_the_next_one_on(
    person: Person, log: TieredLog
) -> None:
    story = await person.story()
    await person.scene(story)
    await person.prefer(**AUTO)
    await nothing_left_to_do(log)
    assert await person.events_of(story, "narration.requested") == []
    scene = await person.scene(story)
    await nothing_left_to_do(log)
    [asked] = await person.events_of(story, "narration.requested")
    assert scene["id"] == f"{story}.{asked['turn']}"


async def test_5_different_chunk_sizes(person: Person) -> None:
    text = "The sea was calm. The lamp was lit. " * 6
    counts = []
    for length in (1, 60, 300):
        await person.prefer(min_sentence_length=length, **AUTO)
        story = await person.story()
        async with person.notifications(ack="true") as news:
            scene = await person.scene(story, content=text)
            told = await news.next()
            await news.ack(told)
        chunks = of(await messages(person, f"/ws/tts/{scene['id']}"), "chunk_ready")
        assert all(len(chunk["text"]) >= length for chunk in chunks[:-1])
        assert " ".join(chunk["text"] for chunk in chunks) == text.strip()
        assert len(chunks) == told["chunk_count"]
        counts.append(len(chunks))
    assert counts[0] == 12
    assert counts[0] > counts[1] > counts[2]


KEEPER = (
    "An old keeper lived in a lighthouse at the edge of the sea. Every evening he climbed the stairs and lit "
    "the lamp. One night a small fox came to his door, wet and shivering from the storm. He let it in, and "
    "they sat by the fire until morning. From that day on the keeper was never alone."
)


@pytest.mark.parametrize("length", [1, 20, 60, 150, 200, 300, 500])
async def test_5_no_chunk_is_shorter_than_wished_and_each_is_whole_sentences(
    person: Person, length: int
) -> None:
    await person.prefer(min_sentence_length=length)
    text = f"{KEEPER} {KEEPER} {KEEPER}"
    answer = await person.http.post("/api/tts/generate", json={"text": text})
    read = await messages(person, answer.json()["websocket_url"])
    chunks = [chunk["text"] for chunk in of(read, "chunk_ready")]
    assert (len(chunks), " ".join(chunks)) == (answer.json()["total_chunks"], text)
    assert all(chunk.endswith(".") for chunk in chunks)
    assert all(len(chunk) >= length for chunk in chunks[:-1])
    live = of(await messages(person, await person.stream(await person.story())), "audio_chunk")
    assert all(len(chunk["sentence_text"]) >= length for chunk in live[:-1])


async def test_6_the_provider_is_down_and_the_scene_stands(person: Person, remote: FakeSpeechServer) -> None:
    remote.refusals = [(500, {})] * 20
    await person.prefer(tts_provider="cloud", **AUTO)
    story = await person.story()
    async with person.notifications() as news:
        scene = await person.scene(story)
        told = await news.next()
    assert (told["type"], told["scene_id"]) == ("tts_failed", scene["id"])
    assert told["code"] == "engine.failed"
    assert "cloud" in told["message"]
    shown = (await person.http.get(f"/api/stories/{story}/scenes/1")).json()
    assert (shown["content"], shown["status"]) == (STORY, "completed")
    assert shown["narration"]["status"] == "failed"


async def test_6_a_manual_retry_works_once_the_provider_is_back(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.refusals = [(503, {})] * 40
    await person.prefer(tts_provider="cloud", **AUTO)
    async with person.notifications() as news:
        scene = await person.scene(await person.story())
        assert (await news.next())["type"] == "tts_failed"
        assert (await person.generate(scene["id"]))["created"]
        assert (await news.next())["type"] == "tts_failed"
        remote.refusals = []
        retried = await person.generate(scene["id"])
        told = await news.next()
        await news.quiet()
    assert retried["created"]
    assert (told["type"], told["session_id"], told["auto_play"]) == (
        "tts_ready",
        retried["session_id"],
        False,
    )
    assert (await person.http.get(f"/api/tts/audio/{scene['id']}/chunk/0")).status_code == 200


async def test_6_a_provider_that_is_silent_costs_its_timeout_and_no_more(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud", tts_timeout=1, min_sentence_length=500, **AUTO)
    async with person.notifications() as news:
        await person.scene(await person.story(), content="One sentence is enough for this.")
        told = await news.next()
    assert (told["type"], told["code"]) == ("tts_failed", "engine.failed")


async def test_6_what_was_made_is_not_made_again_unless_it_is_forced(person: Person) -> None:
    scene = await person.scene(await person.story())
    async with person.notifications() as news:
        first = await person.generate(scene["id"])
        await news.next()
        assert first["created"]
        same = await person.generate(scene["id"])
        assert (same["session_id"], same["created"], same["status"]) == (first["session_id"], False, "ready")
        forced = await person.generate(scene["id"], force_regenerate=True)
        told = await news.next()
        await news.quiet()
    assert forced["created"]
    assert forced["session_id"] != first["session_id"]
    assert told["session_id"] == forced["session_id"]
    shown = (await person.http.get(f"/api/stories/{scene['story_id']}/scenes/1")).json()
    assert shown["narration"]["session_id"] == forced["session_id"]


async def test_6_forcing_while_one_is_being_made_stops_that_one(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    scene = await person.scene(await person.story())
    first = await person.generate(scene["id"])
    async with person.notifications() as news:
        forced = await person.generate(scene["id"], force_regenerate=True)
        got = await messages(person, f"/ws/tts/{first['session_id']}")
        remote.silent = False
        told = await news.next()
        await news.quiet()
    assert (got[-1]["type"], got[-1]["stopped"]) == ("complete", True)
    assert (told["type"], told["session_id"]) == ("tts_ready", forced["session_id"])


async def test_6_sentences_that_cannot_be_spoken_are_left_out(person: Person) -> None:
    await person.prefer(**AUTO)
    async with person.notifications() as news:
        scene = await person.scene(await person.story(), custom_prompt="something unspeakable")
        told = await news.next()
    got = await messages(person, f"/ws/tts/{scene['id']}")
    assert (told["type"], told["chunk_count"]) == ("tts_ready", len(of(got, "chunk_ready")))
    assert (got[-1]["type"], got[-1]["missing_chunks"]) == ("complete", 1)
    assert not any("unspeakable" in chunk["text"] for chunk in of(got, "chunk_ready"))


async def test_6_a_scene_that_is_still_being_written_cannot_be_narrated_yet(person: Person) -> None:
    story = await person.story()
    scene = await person.scene(story, custom_prompt="slowly", wait=False)
    early = await person.http.post(f"/api/tts/generate/{scene['id']}")
    assert (early.status_code, early.json()["code"]) == (409, "scene.not_ready")
    assert early.headers["retry-after"]
    async with person.socket(f"/ws/scene-generation/{scene['id']}") as socket:
        await socket.send('{"type": "stop"}')
        await socket.wait_closed()
